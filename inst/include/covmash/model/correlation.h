#pragma once
// The correlation of the errors of an effect between conditions: one matrix for all effects, or one for each, given as an
// R x R x J array, or made of contrasts: L b with errors L S_j C_j S_j L', scaled to unit variances.
//
// Effects with the same matrix have the same kind, a number from 0 on, and groups are made of effects of one kind. Of the
// contrasts a matrix is computed when it is asked for, O(Q R^2) for Q contrasts of R conditions, so that nothing of size
// R^2 J is kept. Kinds: O(R^2 J) for an array, O(R J) for contrasts.

#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"

namespace covmash {

// The first of n matrices of R x R that is not a covariance matrix of full rank, counted from 1; 0 if all are.
struct BadCorrelation {
  std::size_t at = 0;
  bool symmetric = true;
};

inline BadCorrelation first_bad_correlation(const double* array, std::size_t R, std::size_t n, Executor& executor) {
  arma::mat L;
  for (std::size_t j = 0; j < n; ++j) {
    executor.checkpoint();
    const arma::mat C(const_cast<double*>(array) + j * R * R, R, R, false, true);
    for (arma::uword c = 0; c < R; ++c)
      for (arma::uword r = c + 1; r < R; ++r)
        if (!(std::fabs(C.at(r, c) - C.at(c, r)) <= 1e-8 * std::sqrt(std::fabs(C.at(r, r) * C.at(c, c)))))
          return {j + 1, false};
    if (!arma::chol(L, C, "lower")) return {j + 1, true};
  }
  return {};
}

class ErrorCorrelation {
 public:
  // One for all.
  ErrorCorrelation(arma::mat C) : common_(true), base_(std::move(C)) {}  // NOLINT: a matrix is one

  // An array of n matrices of R x R, borrowed.
  ErrorCorrelation(const double* array, std::size_t R, std::size_t n, Executor* executor = nullptr)
      : common_(false), array_(array), size_(R) {
    find_kinds(n, [&](std::size_t j) { return hash(array_ + j * R * R, R * R, 1); },
               [&](std::size_t i, std::size_t j) {
                 return std::memcmp(array_ + i * R * R, array_ + j * R * R, R * R * sizeof(double)) == 0;
               },
               executor);
  }

  // Contrasts L (Q x R) of n effects with standard errors `shat` (n x R, column-major, borrowed; NaN where there is no
  // estimate: such a condition adds no error), and the correlation C, or an array of them.
  ErrorCorrelation(arma::mat L, const double* shat, std::size_t n, const arma::mat& C, const double* array,
                   Executor* executor = nullptr)
      : common_(false), base_(C), array_(array), size_(L.n_cols), L_(std::move(L)), shat_(shat), n_(n) {
    const std::size_t R = size_;
    const auto same_rows = [&](std::size_t i, std::size_t j) {
      for (std::size_t r = 0; r < R; ++r) {
        const double a = shat_[r * n_ + i], b = shat_[r * n_ + j];
        if (a != b && !(std::isnan(a) && std::isnan(b))) return false;
      }
      return !array_ || std::memcmp(array_ + i * R * R, array_ + j * R * R, R * R * sizeof(double)) == 0;
    };
    find_kinds(n, [&](std::size_t j) {
      const std::uint64_t h = hash(shat_ + j, R, n_);
      return array_ ? h ^ hash(array_ + j * R * R, R * R, 1) : h;
    }, same_rows, executor);
  }

  bool common() const { return common_; }
  std::size_t kind(std::size_t j) const { return common_ ? 0 : kind_[j]; }
  std::size_t n_kinds() const { return common_ ? 1 : first_.size(); }

  // Of the conditions, or contrasts.
  std::size_t conditions() const { return L_.is_empty() ? (common_ ? base_.n_rows : size_) : L_.n_rows; }

  const arma::mat& matrix() const {
    require(common_, "the correlation of the errors differs between effects");
    return base_;
  }

  arma::mat of_kind(std::size_t kind) const {
    if (common_) return base_;
    const std::size_t j = first_[kind], R = size_;
    const arma::mat C = array_ ? arma::mat(array_ + j * R * R, R, R) : base_;
    if (L_.is_empty()) return C;
    arma::mat noise = L_;  // L S
    for (std::size_t r = 0; r < R; ++r) {
      const double s = shat_[r * n_ + j];
      noise.col(r) *= std::isnan(s) ? 0.0 : s;
    }
    noise = arma::symmatu(noise * C * noise.t());
    const arma::vec sd = arma::sqrt(noise.diag());
    for (arma::uword c = 0; c < noise.n_cols; ++c)
      for (arma::uword r = 0; r < noise.n_rows; ++r)
        noise.at(r, c) = r == c ? 1.0 : sd[r] > 0.0 && sd[c] > 0.0 ? noise.at(r, c) / sd[r] / sd[c] : 0.0;
    return noise;
  }

 private:
  static std::uint64_t hash(const double* x, std::size_t n, std::size_t stride) {
    std::uint64_t h = n;
    for (std::size_t i = 0; i < n; ++i) {
      std::uint64_t bits = 1;  // of a missing one
      if (!std::isnan(x[i * stride])) std::memcpy(&bits, x + i * stride, sizeof bits);
      h ^= bits + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2);
      h *= 0xff51afd7ed558ccdULL;
      h ^= h >> 33;
    }
    return h;
  }

  template <typename Hash, typename Same>
  void find_kinds(std::size_t n, const Hash& key, const Same& same, Executor* executor) {
    std::unordered_map<std::uint64_t, std::vector<std::size_t>> known;  // kinds
    kind_.resize(n);
    for (std::size_t j = 0; j < n; ++j) {
      if (j % 1024 == 0) checkpoint(executor);
      std::vector<std::size_t>& candidates = known[key(j)];
      std::size_t found = first_.size();
      for (std::size_t k : candidates)
        if (same(first_[k], j)) found = k;
      if (found == first_.size()) {
        candidates.push_back(found);
        first_.push_back(j);
      }
      kind_[j] = found;
    }
  }

  bool common_;
  arma::mat base_;
  const double* array_ = nullptr;
  std::size_t size_ = 0;  // R
  arma::mat L_;
  const double* shat_ = nullptr;
  std::size_t n_ = 0;
  std::vector<std::size_t> kind_, first_;  // by effect; the first effect of a kind
};

}  // namespace covmash
