#pragma once
// The log-determinant of a symmetric positive definite matrix, by a Cholesky factorisation in panels of 32 columns.
// p^3 / 3 flops, nearly all of them in products; memory p^2.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../base/buffer.h"
#include "../base/executor.h"
#include "panel.h"

namespace covmash {

// S: p x p, of which the lower triangle is read. NaN if S is singular to rounding: a pivot below p eps of its diagonal.
inline double log_determinant(const double* S, std::size_t p, Executor& executor) {
  constexpr std::size_t width = 32;
  Buffer<double> L(p * p), X(p * width), Y(p * width);  // L row-major
  double log_det = 0.0;
  const double tiny = static_cast<double>(p) * std::numeric_limits<double>::epsilon();
  for (std::size_t first = 0; first < p; first += width) {
    const std::size_t columns = std::min(width, p - first), rows = p - first;
    // What the columns to the left explain.
    for (std::size_t k = 0; k < first; ++k)
      for (std::size_t j = 0; j < width; ++j) X[k * width + j] = j < columns ? L[(first + j) * p + k] : 0.0;
    if (first > 0)
      multiply_into(rows, first, row_major(L.data() + first * p, p), X.data(), width, width, Y.data(), width, executor);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        const double s = S[(first + j) * p + first + i];
        Y[i * width + j] = first > 0 ? s - Y[i * width + j] : s;
      }
    for (std::size_t i = 0; i < rows; ++i) {
      double* y = Y.data() + i * width;
      double* to = L.data() + (first + i) * p + first;
      for (std::size_t j = 0; j < std::min(columns, i + 1); ++j) {
        const double* other = L.data() + (first + j) * p + first;
        double a = y[j];
        for (std::size_t k = 0; k < j; ++k) a -= to[k] * other[k];
        if (i > j) {
          to[j] = a / other[j];
          continue;
        }
        if (!(a > tiny * S[(first + i) * p + first + i])) return std::numeric_limits<double>::quiet_NaN();
        to[j] = std::sqrt(a);
        log_det += std::log(a);
      }
    }
  }
  return log_det;
}

}  // namespace covmash
