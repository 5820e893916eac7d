#pragma once
// Principal axes of some of the estimates, not centred: eigenvectors and eigenvalues of X'X / n, X (n x R) the chosen
// rows of bhat. The data are read in blocks of 256 rows and never copied whole.
//
// Complete rows: R of X = Q R, block by block (householder.h), then its singular values. Nothing is squared, so axes are
// as good as those of a singular value decomposition of X: that of X + E, |E| some eps |X|, also where singular values
// are tiny or nearly equal. 2 n R^2 flops.
// Rows with missing estimates: X'X / n is replaced by the second moments over the rows in which both conditions are
// observed, S_rs = sum_j b_jr b_js / n_rs (0 if there is none). It need not be positive semi-definite; its negative part
// is noise, and taken as 0. n R^2 flops; the n_rs are counted in bits, 64 rows at a time. Eigenvalues are good to some
// eps of the largest.
//
// Rows are cut into at most 64 pieces, which depend on n and R only; pieces are added in their order, so results have
// the same bits for any number of threads. Memory O(pieces R^2), at most 32 MB or 4 R^2 numbers for R > 1024.

#include <algorithm>
#include <armadillo>
#include <bitset>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../base/buffer.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/householder.h"
#include "../linalg/spectra.h"
#include "../model/effects.h"
#include "../simd/dispatch.h"

namespace covmash {

struct PrincipalAxes {
  arma::mat vectors;    // R x n_components, orthonormal; exactly 0 for conditions without any estimate other than 0
  arma::vec variances;  // decreasing
  bool complete = true;
};

class PrincipalComponents {
 public:
  // rows: the chosen ones, from 0; null for all.
  PrincipalComponents(const Effects& effects, const std::vector<std::size_t>* rows, Executor& executor)
      : effects_(effects),
        rows_(rows),
        n_(rows ? rows->size() : effects.n_effects),
        R_(effects.n_conditions),
        executor_(executor) {
    if (rows)
      for (std::size_t j : *rows) require(j < effects.n_effects, "a row does not exist");
    const std::size_t most =
        std::min<std::size_t>(64, std::max<std::size_t>(4, (std::size_t(1) << 22) / (R_ * R_ + 1)));
    const std::size_t blocks = (n_ + block - 1) / block;
    const std::size_t length = std::max<std::size_t>(8, (blocks + most - 1) / most);  // blocks in a piece
    piece_ = length * block;
    n_pieces_ = (n_ + piece_ - 1) / piece_;
  }

  PrincipalAxes leading(std::size_t n_components) {
    require(n_components >= 1 && n_components <= std::min(n_, R_),
            "there are fewer principal components than asked for");
    executor_.step("Principal components", false);
    scan();
    PrincipalAxes out;
    out.complete = complete_;
    if (complete_) {
      of_complete(n_components, out);
    } else {
      of_moments(n_components, out);
    }
    for (std::size_t r = 0; r < R_; ++r)
      if (!known_[r]) out.vectors.row(r).zeros();
    return out;
  }

 private:
  static constexpr std::size_t block = 256, words = block / 64;

  const double* column(std::size_t r) const { return effects_.bhat + r * effects_.n_effects; }

  // `count` rows from `first` on of condition r.
  void gather(std::size_t r, std::size_t first, std::size_t count, double* to) const {
    const double* from = column(r);
    if (!rows_) {
      std::copy_n(from + first, count, to);
    } else {
      const std::size_t* row = rows_->data() + first;
      for (std::size_t i = 0; i < count; ++i) to[i] = from[row[i]];
    }
  }

  // f(first row, number of rows) for the blocks of a piece.
  template <typename Function>
  void over_blocks(std::size_t piece, Function&& f) const {
    const std::size_t end = std::min(n_, (piece + 1) * piece_);
    for (std::size_t first = piece * piece_; first < end; first += block) {
      executor_.checkpoint();
      f(first, std::min(block, end - first));
    }
  }

  double work() const { return 2.0 * static_cast<double>(n_) * static_cast<double>(R_) * static_cast<double>(R_ + 1); }

  // Whether anything is missing, and in which conditions something is known. Each condition stops when it knows both.
  void scan() {
    known_.assign(R_, 0);
    std::vector<unsigned char> missing(R_, 0);
    executor_.run(R_, static_cast<double>(n_) * static_cast<double>(R_), [&](std::size_t r, std::size_t) {
      constexpr std::size_t chunk = 4096;
      double x[chunk];
      for (std::size_t first = 0; first < n_ && !(known_[r] && missing[r]); first += chunk) {
        const std::size_t count = std::min(chunk, n_ - first);
        executor_.checkpoint();
        gather(r, first, count, x);
        bool nan = false, other = false;
        for (std::size_t i = 0; i < count; ++i) {
          nan |= x[i] != x[i];
          other |= (x[i] < 0.0) | (x[i] > 0.0);
        }
        missing[r] |= nan;
        known_[r] |= other;
      }
    });
    complete_ = std::find(missing.begin(), missing.end(), 1) == missing.end();
  }

  void of_complete(std::size_t n_components, PrincipalAxes& out) {
    arma::mat V;
    arma::vec s;
    if (!(n_ <= R_ ? left_singular(transposed(), s, V, executor_)
                   : right_singular(triangular_factor(), s, V, executor_)))
      throw numeric_error("the singular value decomposition of the data did not converge");
    out.vectors = V.head_cols(n_components);
    out.variances = arma::square(s.head(n_components)) / static_cast<double>(n_);
  }

  // X', where there are fewer rows than conditions.
  arma::mat transposed() const {
    arma::mat X(n_, R_);
    for (std::size_t r = 0; r < R_; ++r) gather(r, 0, n_, X.colptr(r));
    return X.t();
  }

  arma::mat triangular_factor() {
    std::vector<TriangularFactor> factors(n_pieces_, TriangularFactor(0));
    std::vector<Buffer<double>> memory(executor_.workers());
    executor_.run(n_pieces_, work(), [&](std::size_t piece, std::size_t worker) {
      double* Y = memory[worker].require_size(block * R_);
      TriangularFactor factor(R_);
      over_blocks(piece, [&](std::size_t first, std::size_t count) {
        for (std::size_t r = 0; r < R_; ++r) gather(r, first, count, Y + r * count);
        factor.absorb(count, Y, pulse_of(executor_));
      });
      factors[piece] = std::move(factor);
    });
    for (std::size_t piece = 1; piece < n_pieces_; ++piece) {
      executor_.checkpoint();
      factors[0].absorb(factors[piece], pulse_of(executor_));
    }
    return factors[0].R();
  }

  void of_moments(std::size_t n_components, PrincipalAxes& out) {
    arma::mat vectors;
    arma::vec values;
    const arma::mat S = second_moments();
    if (!S.is_finite() || !symmetric_eigen(S, values, vectors, executor_))
      throw numeric_error("the eigendecomposition of the second moments did not converge");
    out.vectors = arma::fliplr(vectors.tail_cols(n_components));
    out.variances = arma::clamp(arma::reverse(values.tail(n_components)), 0.0, arma::datum::inf);
  }

  struct Sums {
    std::vector<double> products;      // [r R + s], s >= r
    std::vector<std::uint64_t> pairs;  // the same
  };

  arma::mat second_moments() {
    std::vector<Sums> sums(n_pieces_);
    struct Memory {
      Buffer<double> values;
      std::vector<std::uint64_t> seen;
    };
    std::vector<Memory> memory(executor_.workers());
    executor_.run(n_pieces_, work(), [&](std::size_t piece, std::size_t worker) {
      double* Y = memory[worker].values.require_size(block * R_);
      std::vector<std::uint64_t>& seen = memory[worker].seen;
      seen.resize(words * R_);
      Sums& mine = sums[piece];
      mine.products.assign(R_ * R_, 0.0);
      mine.pairs.assign(R_ * R_, 0);
      over_blocks(piece, [&](std::size_t first, std::size_t count) {
        for (std::size_t r = 0; r < R_; ++r) {
          double* y = Y + r * block;
          gather(r, first, count, y);
          std::fill(y + count, y + block, 0.0);
          take_out_missing(count, y, seen.data() + r * words);
        }
        simd::kernels().gram_wide(block, R_, Y, mine.products.data());
        count_pairs(seen, mine.pairs);
      });
    });
    arma::mat S(R_, R_);
    for (std::size_t r = 0; r < R_; ++r)
      for (std::size_t s = r; s < R_; ++s) {
        double products = 0.0;
        std::uint64_t pairs = 0;
        for (const Sums& piece : sums) {
          products += piece.products[r * R_ + s];
          pairs += piece.pairs[r * R_ + s];
        }
        S(r, s) = S(s, r) = pairs > 0 ? products / static_cast<double>(pairs) : 0.0;
      }
    return S;
  }

  // Missing estimates become 0; the bits of `seen` say which of the first `count` are observed.
  static void take_out_missing(std::size_t count, double* y, std::uint64_t* seen) {
    for (std::size_t w = 0; w < words; ++w, y += 64) {
      const std::size_t n = count > 64 * w ? std::min<std::size_t>(64, count - 64 * w) : 0;
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const bool observed = y[i] == y[i];
        bits |= static_cast<std::uint64_t>(observed) << i;
        y[i] = observed ? y[i] : 0.0;
      }
      seen[w] = bits;
    }
  }

  void count_pairs(const std::vector<std::uint64_t>& seen, std::vector<std::uint64_t>& pairs) const {
    for (std::size_t r = 0; r < R_; ++r)
      for (std::size_t s = r; s < R_; ++s) {
        std::size_t n = 0;
        for (std::size_t w = 0; w < words; ++w) n += std::bitset<64>(seen[r * words + w] & seen[s * words + w]).count();
        pairs[r * R_ + s] += n;
      }
  }

  const Effects& effects_;
  const std::vector<std::size_t>* rows_;
  std::size_t n_, R_;
  Executor& executor_;
  std::size_t piece_ = 0, n_pieces_ = 0;  // rows in a piece, pieces
  bool complete_ = true;
  std::vector<unsigned char> known_;
};

inline PrincipalAxes principal_axes(const Effects& effects, const std::vector<std::size_t>* rows,
                                    std::size_t n_components, Executor& executor) {
  return PrincipalComponents(effects, rows, executor).leading(n_components);
}

}  // namespace covmash
