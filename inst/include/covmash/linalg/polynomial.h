#pragma once
// The positive roots of a real polynomial of low degree n, all of them: between two neighbouring roots of the derivative
// there is at most one. A few hundred flops times n^2, in doubles; no root is lost but double ones, where the sign does
// not change.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace covmash {

namespace detail {

inline double polynomial_value(const std::vector<double>& a, double x) {
  double value = 0.0;
  for (std::size_t i = a.size(); i-- > 0;) value = value * x + a[i];
  return value;
}

// The root in (low, high), where the sign changes, to the last digit: Newton's steps, bisection where they leave the
// bracket or do not shorten it.
template <typename Function>
double bracketed_root(double low, double high, const Function& value_and_slope) {
  double slope = 0.0;
  const bool rising = value_and_slope(low, slope) < 0.0;
  double x = 0.5 * (low + high);
  for (int i = 0; i < 200; ++i) {
    const double value = value_and_slope(x, slope);
    if (value == 0.0) return x;
    ((value < 0.0) == rising ? low : high) = x;
    const double newton = x - value / slope;
    const bool inside = newton > low && newton < high;
    // Every third step halves at least, on the scale of the logarithm where the bracket spans several orders.
    const double middle = low > 0.0 && high > 4.0 * low ? std::sqrt(low) * std::sqrt(high) : low + 0.5 * (high - low);
    const double next = inside && i % 3 != 2 ? newton : middle;
    if (next == x || !(next > low && next < high)) return next == low || next == high || next == x ? next : middle;
    if (inside && std::fabs(newton - x) <= 1e-16 * x) return newton;
    x = next;
  }
  return x;
}

}  // namespace detail

// Of a[0] + a[1] x + ... + a[n] x^n, rising.
inline std::vector<double> positive_roots(std::vector<double> a) {
  while (!a.empty() && a.back() == 0.0) a.pop_back();
  std::vector<double> roots;
  if (a.size() < 2) return roots;
  if (a.size() == 2) {
    const double x = -a[0] / a[1];
    if (x > 0.0) roots.push_back(x);
    return roots;
  }
  std::vector<double> derivative(a.size() - 1);
  for (std::size_t i = 1; i < a.size(); ++i) derivative[i - 1] = static_cast<double>(i) * a[i];
  double bound = 0.0;  // Cauchy's, of all roots
  for (std::size_t i = 0; i + 1 < a.size(); ++i) bound = std::max(bound, std::fabs(a[i] / a.back()));
  std::vector<double> ends = positive_roots(derivative);
  ends.insert(ends.begin(), 0.0);
  ends.push_back(std::max(1.0 + bound, 2.0 * ends.back()));
  const auto value_and_slope = [&](double x, double& slope) {
    slope = detail::polynomial_value(derivative, x);
    return detail::polynomial_value(a, x);
  };
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    const double low = detail::polynomial_value(a, ends[i]), high = detail::polynomial_value(a, ends[i + 1]);
    if (low == 0.0 && ends[i] > 0.0) {
      roots.push_back(ends[i]);
    } else if ((low < 0.0 && high > 0.0) || (low > 0.0 && high < 0.0)) {
      const double from = ends[i] > 0.0 ? ends[i] : std::numeric_limits<double>::min();
      roots.push_back(detail::bracketed_root(from, ends[i + 1], value_and_slope));
    }
  }
  return roots;
}

}  // namespace covmash
