#pragma once
// The leaf loops of covmash, compiled once per instruction set and chosen when first used.
//
// The package is compiled for the platform's baseline. Where the compiler can (GCC and clang on x86-64, not on Windows,
// whose stack is not aligned for wide registers) the same source is compiled again for AVX2+FMA and AVX-512, and the
// widest set the processor has is used. Within one instruction set results have the same bits for any thread count,
// block or subset of effects; between sets they differ by rounding only.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#define COVMASH_DISPATCH_X86 1
#include <immintrin.h>
#else
#define COVMASH_DISPATCH_X86 0
#endif
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__clang__)
#define COVMASH_UNROLL _Pragma("unroll")
#else
#define COVMASH_UNROLL _Pragma("GCC unroll 8")
#endif

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

struct KernelTable {
  const char* name;
  std::size_t width;  // effects in a register
  void (*multiply)(std::size_t, std::size_t, const double*, const double*, double*);
  void (*solve_lower)(std::size_t, const double*, double*);
  void (*add_squares)(std::size_t, const double*, double*);
  void (*exclusive_squares)(std::size_t, const double*, double*);
  void (*residual_squares)(std::size_t, const double*, const double*, double*);
  void (*shared_tables)(std::size_t, const double*, double, double, std::size_t, const double*, double*, double*);
  void (*lane_tables)(std::size_t, const double*, double, const double*, std::size_t, const double*, double*, double*);
  void (*shared_loglik)(std::size_t, std::size_t, const double*, const double*, const double*, const double*, double*);
  void (*lane_loglik)(std::size_t, std::size_t, const double*, const double*, const double*, const double*, double*);
  void (*square)(std::size_t, const double*, double*);
  void (*block_maximum)(std::size_t, const double*, const double*, double*, std::size_t, std::size_t);
  void (*block_exponentials)(std::size_t, const double*, const double*, const double*, double*, double*, std::size_t,
                             std::size_t);
  void (*relative_likelihood)(std::size_t, const double*, const double*, float*);
  void (*logarithms)(std::size_t, const double*, double*);
  void (*exponentials)(std::size_t, const double*, double*);
  void (*normal_tails)(std::size_t, const double*, double*);
  void (*pack_weights)(std::size_t, const double*, const double*, double*, double*, double*);
  void (*pack_rescale)(std::size_t, const double*, double*, const Moments&);
  void (*pack_null)(std::size_t, const double*, double*, const Moments&);
  void (*posterior_null)(std::size_t, const double*, double*, const Moments&);
  void (*posterior_rank1)(std::size_t, const double*, double, const double*, const double*, std::size_t, const double*,
                          const double*, std::size_t, bool, const double*, double*, const Moments&);
  void (*eigenbasis_posterior)(std::size_t, std::size_t, const double*, const double*, const double*, double,
                               const double*, bool, double*, double*);
  void (*posterior_full)(std::size_t, const unsigned char*, const double*, const double*, bool, const double*, double*,
                         const Moments&);
  void (*finish_posterior)(std::size_t, const double*, const Moments&, double*, double*);
  void (*rowwise_decompose)(std::size_t, std::size_t, const double*, const double*, const double*, const double*,
                            double*, double*, double*, double*, double*);
  void (*rowwise_absorb)(std::size_t, const double*, double, const double*, const double*, const double*, double*,
                         double*, double*, double*);
  void (*rowwise_null)(std::size_t, const double*, const double*, double*);
  void (*rowwise_loglik)(std::size_t, const double*, const double*, const double*, const double*, std::size_t,
                         const double*, double*, std::size_t);
  void (*rowwise_posterior)(std::size_t, std::size_t, const double*, const unsigned char*, const double*, const double*,
                            const double*, const double*, const DiagonalPart*, std::size_t, const double*,
                            const double*, double*, double*, const Moments&);
  void (*mixture_density)(std::size_t, const float* const*, const double*, double*);
  void (*mixture_gradient)(std::size_t, const float*, const double*, double*);
  void (*support_gradient)(std::size_t, const float* const*, const double*, double*);
  void (*scaled_support)(std::size_t, const float* const*, const double*, std::size_t, float*, double*);
  void (*scaled_support_wide)(std::size_t, const float* const*, const double*, std::size_t, double*, double*);
  void (*gram_float)(std::size_t, std::size_t, const float*, double*);
  void (*gram_wide)(std::size_t, std::size_t, const double*, double*);
  void (*rowwise_inverse)(std::size_t, const double*, const double*, const double*, const double*, const double*,
                          double*, double*, double*, double*);
  void (*rowwise_moment)(std::size_t, const double*, const double*, const double*, const double*, double*);
  void (*panel_product)(std::size_t, std::size_t, const double*, std::size_t, std::size_t, const double*, std::size_t,
                        std::size_t, double*, std::size_t, bool);
  void (*inner_products)(std::size_t, const double*, std::size_t, const double*, std::size_t, double*);
  void (*add_combination)(std::size_t, std::size_t, const double*, std::size_t, const double*, double*);
};

#define COVMASH_INLINE static inline __attribute__((always_inline)) COVMASH_TARGET
#define COVMASH_KERNEL inline COVMASH_TARGET

namespace baseline {
#define COVMASH_TARGET
#define COVMASH_FMA_X86 0
#define COVMASH_LANES 2
#if defined(__aarch64__)
#define COVMASH_NAME "neon"
#else
#define COVMASH_NAME "baseline"
#endif
#include "all.inc"
#undef COVMASH_TARGET
#undef COVMASH_FMA_X86
#undef COVMASH_LANES
#undef COVMASH_NAME
}  // namespace baseline

#if COVMASH_DISPATCH_X86
namespace avx2 {
#define COVMASH_TARGET __attribute__((target("avx2,fma")))
#define COVMASH_FMA_X86 1
#define COVMASH_LANES 4
#define COVMASH_NAME "avx2"
#include "all.inc"
#undef COVMASH_TARGET
#undef COVMASH_LANES
#undef COVMASH_NAME
}  // namespace avx2

namespace avx512 {
#define COVMASH_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#define COVMASH_LANES 8
#define COVMASH_NAME "avx512"
#include "all.inc"
#undef COVMASH_TARGET
#undef COVMASH_FMA_X86
#undef COVMASH_LANES
#undef COVMASH_NAME
}  // namespace avx512
#endif

#undef COVMASH_INLINE
#undef COVMASH_KERNEL

// The instruction sets this processor can run, narrowest first.
inline std::vector<const KernelTable*> available_tables() {
  std::vector<const KernelTable*> tables = {&baseline::table()};
#if COVMASH_DISPATCH_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables.push_back(&avx2::table());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    tables.push_back(&avx512::table());
#endif
  return tables;
}

inline const KernelTable*& current_table() {
  static const KernelTable* table = available_tables().back();
  return table;
}

// The table in use. Computations take it once at their start, so a change never meets a running one.
inline const KernelTable& kernels() { return *current_table(); }

inline void select_table(const std::string& name) {
  for (const KernelTable* table : available_tables()) {
    if (name == table->name) {
      current_table() = table;
      return;
    }
  }
  throw std::invalid_argument("instruction set '" + name + "' is not available on this machine");
}

}  // namespace simd
}  // namespace covmash
