#pragma once
// The table of the leaf loops. COVMASH_KERNELS is the one list of them: it gives the table its typed members, and each
// instruction set its entries by name (all.inc). The loops are in the .inc files, one topic a file.

#include <cstddef>

#include "../base/pulse.h"

namespace covmash {
namespace simd {

constexpr std::size_t lanes = 64;  // effects in a block

// State of the running mixture moments, [condition * 64 + lane]: weighted mean, centred sum of squares, tail masses.
struct Moments {
  double *mean, *centred, *negative, *positive, *zero;
};

// What a diagonal part of a covariance does to a posterior: its elements a; gain = s^2 / (s^2 + w a); 1/s and z.
struct DiagonalPart {
  const double *a, *gain, *inverse_shat, *z;
};

// clang-format off
#define COVMASH_KERNELS(KERNEL) \
  KERNEL(multiply, (std::size_t rows, std::size_t inner, const double* A, const double* X, double* Y))                \
  KERNEL(multiply_lanes, (std::size_t rows, std::size_t inner, const double* A, const double* X, double* Y,           \
         std::size_t from, std::size_t to))                                                                           \
  KERNEL(solve_lower, (std::size_t n, const double* L, double* X))                                                    \
  KERNEL(solve_lower_lanes, (std::size_t n, const double* L, double* X, std::size_t from, std::size_t to))            \
  KERNEL(add_squares, (std::size_t rows, const double* X, double* sum))                                               \
  KERNEL(add_squares_lanes, (std::size_t rows, const double* X, double* sum, std::size_t from, std::size_t to))       \
  KERNEL(exclusive_squares, (std::size_t rows, const double* X, double* out))                                         \
  KERNEL(residual_squares, (std::size_t rows, const double* X, const double* Y, double* sum))                         \
  KERNEL(shared_tables, (std::size_t n, const double* d, double repeat, double inverse_c2, std::size_t n_scales,      \
         const double* w, double* shrink, double* log_det))                                                           \
  KERNEL(lane_tables, (std::size_t n, const double* d, double repeat, const double* inverse_c2, std::size_t           \
         n_scales, const double* w, double* shrink, double* log_det))                                                 \
  KERNEL(shared_loglik, (std::size_t n, std::size_t n_scales, const double* shrink, const double* t2, const           \
         double* constant, const double* log_det, double* loglik))                                                    \
  KERNEL(lane_loglik, (std::size_t n, std::size_t n_scales, const double* shrink, const double* t2, const             \
         double* constant, const double* log_det, double* loglik))                                                    \
  KERNEL(square, (std::size_t n, const double* x, double* y))                                                         \
  KERNEL(block_maximum, (std::size_t n, const double* loglik, const double* offset, double* maximum, std::size_t      \
         from, std::size_t to))                                                                                       \
  KERNEL(block_exponentials, (std::size_t n, const double* loglik, const double* offset, const double* maximum,       \
         double* weight, double* sum, std::size_t from, std::size_t to))                                              \
  KERNEL(relative_likelihood, (std::size_t n, const double* loglik, const double* maximum, float* out))               \
  KERNEL(logarithms, (std::size_t n, const double* x, double* y))                                                     \
  KERNEL(exponentials, (std::size_t n, const double* x, double* y))                                                   \
  KERNEL(normal_tails, (std::size_t n, const double* x, double* y))                                                   \
  KERNEL(pack_weights, (std::size_t n, const double* loglik, const double* offset, double* maximum, double* rho,      \
         double* factor))                                                                                             \
  KERNEL(pack_rescale, (std::size_t conditions, const double* factor, double* total, const Moments& state))           \
  KERNEL(pack_null, (std::size_t conditions, const double* rho, double* total, const Moments& state))                 \
  KERNEL(posterior_null, (std::size_t conditions, const double* rho, double* total, const Moments& state))            \
  KERNEL(posterior_rank1, (std::size_t conditions, const double* f, double sigma, const double* inverse_c, const      \
         double* t, std::size_t n_scales, const double* w, const double* shrink, std::size_t stride, bool             \
         by_lane, const double* rho, double* total, const Moments& state))                                            \
  KERNEL(eigenbasis_posterior, (std::size_t rank, std::size_t last, const double* sigma, const double*                \
         inverse_c, const double* t, double w, const double* shrink, bool by_lane, double* coef, double* var))        \
  KERNEL(posterior_full, (std::size_t conditions, const unsigned char* zero_variance, const double* mean, const       \
         double* variance, bool by_lane, const double* rho, double* total, const Moments& state))                     \
  KERNEL(finish_posterior, (std::size_t conditions, const double* total, const Moments& state, double* sd,            \
         double* lfsr))                                                                                               \
  KERNEL(rowwise_decompose, (std::size_t m, std::size_t q, const double* F, const double* inverse_shat, const         \
         double* chol, const double* z, double* work, double* alpha, double* beta, double* zeta, double* back,        \
         const Pulse& pulse))                                                                                         \
  KERNEL(rowwise_absorb, (std::size_t m, const double* a, double w, const double* inverse_shat, const double* z,      \
         const double* constant, double* gain, double* new_inverse_shat, double* new_z, double* new_constant))        \
  KERNEL(rowwise_null, (std::size_t m, const double* z, const double* constant, double* loglik))                      \
  KERNEL(rowwise_loglik, (std::size_t q, const double* alpha, const double* beta, const double* zeta, const           \
         double* constant, std::size_t n_scales, const double* w, double* loglik, std::size_t stride))                \
  KERNEL(rowwise_posterior, (std::size_t conditions, std::size_t q, const double* F, const unsigned char*             \
         zero_variance, const double* alpha, const double* beta, const double* zeta, const double* back, const        \
         DiagonalPart* part, std::size_t n_scales, const double* w, const double* rho, double* work, double*          \
         total, const Moments& state))                                                                                \
  KERNEL(group_decompose, (std::size_t m, std::size_t q, const double* F, const double* inverse_shat, const           \
         double* chol, double* G, double* work, double* alpha, double* beta, double* left_tau, double* back,          \
         const Pulse& pulse))                                                                                         \
  KERNEL(group_reflect, (std::size_t m, std::size_t n, const double* V, const double* tau, double* X,                 \
         std::size_t from, std::size_t to))                                                                           \
  KERNEL(group_tables, (std::size_t n, const double* alpha, const double* beta, double inverse_c2, std::size_t        \
         n_scales, const double* w, double* link, double* inverse, double* kappa, double* log_det))                   \
  KERNEL(group_loglik, (std::size_t n, std::size_t n_scales, const double* link, const double* inverse, const         \
         double* log_det, const double* t, const double* rest, const double* constant, double* loglik,                \
         std::size_t from, std::size_t to))                                                                           \
  KERNEL(group_lane_loglik, (std::size_t n, const double* alpha, const double* beta, const double* inverse_c2,        \
         std::size_t n_scales, const double* w, const double* t, const double* rest, const double* constant,          \
         double* loglik, std::size_t from, std::size_t to))                                                           \
  KERNEL(group_coordinates, (std::size_t n, std::size_t q, const double* alpha, const double* beta, const             \
         double* link, const double* inverse, const double* kappa, const double* inverse_c, const double*             \
         inverse_c2, double w, const double* t, double* work, double* coef, std::size_t from, std::size_t to))        \
  KERNEL(group_variance, (std::size_t conditions, std::size_t q, const double* alpha, const double* beta, double      \
         inverse_c2, double w, const double* back, std::size_t stride, double* work, double* variance))               \
  KERNEL(group_lane_variance, (std::size_t conditions, std::size_t q, const double* alpha, const double* beta,        \
         const double* inverse_c2, double w, const double* back, std::size_t stride, double* work, double*            \
         variance, std::size_t from, std::size_t to))                                                                 \
  KERNEL(group_vector, (std::size_t m, const double* g, const double* inverse_c, const double* z, double* alpha,      \
         double* beta, double* zeta, std::size_t from, std::size_t to))                                               \
  KERNEL(mixture_density, (std::size_t n, const float* const* columns, const double* x, double* u))                   \
  KERNEL(mixture_gradient, (std::size_t n, const float* L, const double* ratio, double* sums))                        \
  KERNEL(support_gradient, (std::size_t n, const float* const* columns, const double* ratio, double* sums))           \
  KERNEL(scaled_support, (std::size_t n, const float* const* columns, const double* ratio, std::size_t depth,         \
         float* Y, double* sums))                                                                                     \
  KERNEL(scaled_support_wide, (std::size_t n, const float* const* columns, const double* ratio, std::size_t           \
         depth, double* Y, double* sums))                                                                             \
  KERNEL(gram_float, (std::size_t depth, std::size_t n, const float* Y, double* H))                                   \
  KERNEL(gram_wide, (std::size_t depth, std::size_t n, const double* Y, double* H))                                   \
  KERNEL(pack_noisy_covariance, (std::size_t m, const std::size_t* active, std::size_t R, const double* C, const      \
         double* U, const double* shat, double* A))                                                                   \
  KERNEL(pack_cholesky, (std::size_t m, double* A, double* log_det, const Pulse& pulse))                              \
  KERNEL(pack_forward, (std::size_t m, std::size_t n, const double* L, double* Z, double* squares))                   \
  KERNEL(pack_inverse, (std::size_t m, const double* shat, const double* L, double* N, const Pulse& pulse))           \
  KERNEL(pack_backward, (std::size_t m, std::size_t n, const double* N, const double* Z, double* X))                  \
  KERNEL(pack_add_inverse, (std::size_t m, const std::size_t* active, const double* N, const double* mass,            \
         double* D, const Pulse& pulse))                                                                              \
  KERNEL(add_weighted_squares, (std::size_t m, std::size_t n, const std::size_t* active, const double* gamma, const   \
         double* X, std::size_t row, std::size_t step, double* scaled, double* D))                                    \
  KERNEL(add_lanes, (std::size_t n, const double* x, double* y))                                                      \
  KERNEL(panel_product, (std::size_t rows, std::size_t inner, const double* A, std::size_t a_row, std::size_t         \
         a_inner, const double* X, std::size_t ldx, std::size_t width, double* Y, std::size_t ldy, bool               \
         accumulate))                                                                                                 \
  KERNEL(inner_products, (std::size_t n, const double* x, std::size_t m, const double* Y, std::size_t stride,         \
         double* out))                                                                                                \
  KERNEL(rotate, (std::size_t n, double c, double s, double* x, double* y))                                           \
  KERNEL(add_combination, (std::size_t n, std::size_t m, const double* X, std::size_t stride, const double* a,        \
         double* y))                                                                                                  \
  KERNEL(mixture_distribution, (std::size_t n, const double* weight, const double* mean, const double*                \
         inverse_sd, double x, double* out))                                                                          \
  KERNEL(orthant_step, (std::size_t n, std::size_t k, const float* row, double centre, double diagonal, double          \
         point, double step, const float* shift, double cut, float* u, float* value, float* lost))                      \
  KERNEL(pair_agreements, (std::size_t n, double factor, double mean, double variance, const double* means, const       \
         double* variances, const double* covariances, float* out))
// clang-format on

struct KernelTable {
  const char* name;
  std::size_t width;  // effects in a register
#define COVMASH_KERNEL_MEMBER(name, arguments) void(*name) arguments;
  COVMASH_KERNELS(COVMASH_KERNEL_MEMBER)
#undef COVMASH_KERNEL_MEMBER
};

}  // namespace simd

constexpr std::size_t block_effects = simd::lanes;

}  // namespace covmash
