#pragma once
// The network of partial correlations of a factor model: the pairs of genes above a threshold. O(N^2 q) time, memory
// O(edges): the N x N matrix of partial correlations is scanned in tiles and never held.

#include <algorithm>
#include <armadillo>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <vector>

#include "../base/executor.h"
#include "../simd/dispatch.h"
#include "inverse.h"

namespace covmash {

// Two genes and their partial correlation.
struct Edge {
  arma::uword first, second;
  double weight;
};

struct EdgeList {
  std::vector<Edge> edges;
  bool complete = true;  // false if there are more than `max_edges`
};

namespace detail {

// Pairs of rows of V whose inner product is at least `threshold` in absolute value, scanned in tiles of 64 x 64:
// O(N^2 q) time, memory O(edges).
inline EdgeList strong_pairs(const arma::mat& V, double threshold, std::size_t max_edges, Executor& executor) {
  constexpr arma::uword tile = 64;
  const arma::uword n = V.n_rows, q = V.n_cols;
  if (V.is_empty()) return {};
  const arma::mat rows = V.t();
  const simd::KernelTable& kernels = simd::kernels();
  const arma::uword strips = (n + tile - 1) / tile;
  std::vector<std::vector<Edge>> found(strips);
  std::atomic<std::size_t> total{0};
  const double work = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(q + 1);
  executor.run(strips, work, [&](std::size_t strip, std::size_t) {
    if (total > max_edges) return;
    const arma::uword from = strip * tile, to = std::min(n, from + tile);
    std::vector<Edge>& mine = found[strip];
    double weight[tile];
    for (arma::uword column = from; column < n; column += tile) {
      const arma::uword end = std::min(n, column + tile);
      for (arma::uword i = from; i < to; ++i) {
        const arma::uword first = std::max(column, i + 1);
        if (first >= end) continue;
        kernels.inner_products(q, rows.colptr(i), end - first, rows.colptr(first), q, weight + (first - column));
        for (arma::uword j = first; j < end; ++j)
          if (std::fabs(weight[j - column]) >= threshold) mine.push_back({i, j, weight[j - column]});
      }
      if (mine.size() > max_edges) break;
    }
    total += mine.size();
  });
  EdgeList out;
  out.complete = total <= max_edges;
  if (!out.complete) return out;
  for (const auto& part : found) out.edges.insert(out.edges.end(), part.begin(), part.end());
  return out;
}

}  // namespace detail

// The edges of the network of partial correlations, those of at least `threshold` in absolute value, by first and
// second gene. For genes outside the border the partial correlation is an inner product; those inside have a column
// each.
inline EdgeList partial_correlation_network(const FactorInverse& inverse, double threshold, std::size_t max_edges,
                                            Executor& executor) {
  arma::mat V = inverse.precision_factor();
  if (!V.is_empty()) V.each_col() %= inverse.root_noise() / arma::sqrt(inverse.kept_precision());
  EdgeList list = detail::strong_pairs(V, threshold, max_edges, executor);
  if (!list.complete) return list;
  for (Edge& e : list.edges) {
    e.first = inverse.others()[e.first];
    e.second = inverse.others()[e.second];
  }
  const arma::uvec& border = inverse.border();
  if (!border.is_empty()) {
    const arma::mat columns = inverse.border_columns(executor);
    const arma::vec sd = arma::sqrt(inverse.precision_diagonal(columns));
    std::vector<unsigned char> done(inverse.genes(), 0);
    for (arma::uword k = 0; k < border.n_elem; ++k) {
      const arma::uword gene = border[k];
      done[gene] = 1;
      for (arma::uword i = 0; i < inverse.genes(); ++i) {
        if (done[i]) continue;
        const double weight = -columns(i, k) / sd[i] / sd[gene];
        if (std::fabs(weight) >= threshold) list.edges.push_back({std::min(i, gene), std::max(i, gene), weight});
      }
    }
    list.complete = list.edges.size() <= max_edges;
    if (!list.complete) return list;
  }
  std::sort(list.edges.begin(), list.edges.end(),
            [](const Edge& a, const Edge& b) { return a.first != b.first ? a.first < b.first : a.second < b.second; });
  return list;
}

}  // namespace covmash
