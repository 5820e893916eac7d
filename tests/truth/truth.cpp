// Exact values for the R tests, in 113-bit arithmetic: tests/testthat/test-truth.R compares with them.
//
//   tests/truth/make        compiles this and writes tests/testthat/fixtures/truth.csv
//
// A line is a number: case, name of a matrix, row, column, value. Inputs are written exactly (17 digits), and are such
// that products the R side forms of them, U = F F', are exact in double precision; answers with 25 digits. Kinds of
// cases, by the beginning of their names:
//
//   mash      bhat_j ~ N(b_j, S_j V S_j) on the observed conditions, b_j ~ sum_p pi_p N(0, w_l^2 U_k): log-likelihood of
//             each effect and the moments of the posterior, by dense algebra (prior variance times a Cholesky factor)
//   weights   the maximum of sum_j log sum_p pi_p L_jp + (prior_1 - 1) log pi_1: EM, a million steps, or a vertex; the
//             largest g_p / N - 1 is written too, and has to be below 1e-20
//   factor    Sigma = B B' + D: solve, log-determinant, precision, partial correlations, log-density, conditional

#include <quadmath.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using quad = __float128;
using Vector = std::vector<quad>;

[[noreturn]] void fail(const char* message) {
  std::fprintf(stderr, "truth: %s\n", message);
  std::exit(1);
}

struct Matrix {
  int rows, cols;
  Vector x;  // column by column
  Matrix(int rows, int cols) : rows(rows), cols(cols), x(static_cast<std::size_t>(rows) * cols, 0) {}
  Matrix(int rows, int cols, const std::vector<double>& by_row) : Matrix(rows, cols) {
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j) (*this)(i, j) = by_row[static_cast<std::size_t>(i) * cols + j];
  }
  quad& operator()(int i, int j) { return x[static_cast<std::size_t>(j) * rows + i]; }
  quad operator()(int i, int j) const { return x[static_cast<std::size_t>(j) * rows + i]; }
};

constexpr double missing = -99;  // in bhat

// ---- writing ----

void write(const std::string& name, const char* what, int row, int col, quad value) {
  char text[64];
  quadmath_snprintf(text, sizeof text, "%.25Qg", value);
  std::printf("%s,%s,%d,%d,%s\n", name.c_str(), what, row + 1, col + 1, text);
}

void write(const std::string& name, const char* what, const Matrix& A) {
  for (int j = 0; j < A.cols; ++j)
    for (int i = 0; i < A.rows; ++i) write(name, what, i, j, A(i, j));
}

void write(const std::string& name, const char* what, const Vector& v) {
  for (std::size_t i = 0; i < v.size(); ++i) write(name, what, static_cast<int>(i), 0, v[i]);
}

// ---- algebra ----

Matrix transpose(const Matrix& A) {
  Matrix out(A.cols, A.rows);
  for (int i = 0; i < A.rows; ++i)
    for (int j = 0; j < A.cols; ++j) out(j, i) = A(i, j);
  return out;
}

Matrix times(const Matrix& A, const Matrix& B) {
  Matrix out(A.rows, B.cols);
  for (int j = 0; j < B.cols; ++j)
    for (int k = 0; k < A.cols; ++k)
      for (int i = 0; i < A.rows; ++i) out(i, j) += A(i, k) * B(k, j);
  return out;
}

Matrix part(const Matrix& A, const std::vector<int>& rows, const std::vector<int>& cols) {
  Matrix out(static_cast<int>(rows.size()), static_cast<int>(cols.size()));
  for (int j = 0; j < out.cols; ++j)
    for (int i = 0; i < out.rows; ++i) out(i, j) = A(rows[i], cols[j]);
  return out;
}

// A = L L'
Matrix cholesky(Matrix A) {
  for (int j = 0; j < A.rows; ++j) {
    for (int k = 0; k < j; ++k)
      for (int i = j; i < A.rows; ++i) A(i, j) -= A(i, k) * A(j, k);
    if (!(A(j, j) > 0)) fail("a matrix is not positive definite");
    A(j, j) = sqrtq(A(j, j));
    for (int i = j + 1; i < A.rows; ++i) A(i, j) /= A(j, j);
    for (int i = 0; i < j; ++i) A(i, j) = 0;
  }
  return A;
}

// L^-1 X
Matrix solve_lower(const Matrix& L, Matrix X) {
  for (int c = 0; c < X.cols; ++c)
    for (int i = 0; i < L.rows; ++i) {
      X(i, c) /= L(i, i);
      for (int r = i + 1; r < L.rows; ++r) X(r, c) -= L(r, i) * X(i, c);
    }
  return X;
}

// A^-1 X
Matrix solve(const Matrix& A, const Matrix& X) {
  const Matrix L = cholesky(A);
  Matrix Y = solve_lower(L, X);
  for (int c = 0; c < Y.cols; ++c)
    for (int i = L.rows - 1; i >= 0; --i) {
      for (int r = i + 1; r < L.rows; ++r) Y(i, c) -= L(r, i) * Y(r, c);
      Y(i, c) /= L(i, i);
    }
  return Y;
}

quad log_det(const Matrix& A) {
  const Matrix L = cholesky(A);
  quad sum = 0;
  for (int i = 0; i < L.rows; ++i) sum += 2 * logq(L(i, i));
  return sum;
}

Matrix identity(int n) {
  Matrix out(n, n);
  for (int i = 0; i < n; ++i) out(i, i) = 1;
  return out;
}

std::vector<int> all(int n) {
  std::vector<int> out;
  for (int i = 0; i < n; ++i) out.push_back(i);
  return out;
}

// log N(x; 0, A)
quad log_density(const Matrix& A, const Matrix& x) {
  const Matrix y = solve(A, x);
  quad q = 0;
  for (int i = 0; i < A.rows; ++i) q += x(i, 0) * y(i, 0);
  return -(A.rows * logq(2 * M_PIq) + log_det(A) + q) / 2;
}

quad normal_below(quad z) { return erfcq(-z / M_SQRT2q) / 2; }

// ---- likelihood and posterior ----

struct Mash {
  std::string name;
  Matrix bhat, shat, V;
  std::vector<Matrix> factors;  // U = F F'
  std::vector<double> grid, pi;  // pi: null first, then scale by scale
  double alpha;
};

void mash(const Mash& p) {
  const int J = p.bhat.rows, R = p.bhat.cols, K = static_cast<int>(p.factors.size());
  const int P = 1 + K * static_cast<int>(p.grid.size());
  write(p.name, "bhat", p.bhat);
  write(p.name, "shat", p.shat);
  write(p.name, "V", p.V);
  for (int k = 0; k < K; ++k) write(p.name, ("F" + std::to_string(k + 1)).c_str(), p.factors[k]);
  write(p.name, "grid", Vector(p.grid.begin(), p.grid.end()));
  write(p.name, "pi", Vector(p.pi.begin(), p.pi.end()));
  write(p.name, "alpha", 0, 0, p.alpha);

  Matrix mean(J, R), sd(J, R), negative(J, R), lfdr(J, R), lfsr(J, R);
  Vector loglik(J);
  for (int j = 0; j < J; ++j) {
    std::vector<int> seen;
    quad jacobian = 0;
    for (int r = 0; r < R; ++r)
      if (p.bhat(j, r) != missing) {
        seen.push_back(r);
        if (p.alpha == 1) jacobian += logq(p.shat(j, r));
      }
    const int m = static_cast<int>(seen.size());
    Matrix noise(m, m), b(m, 1);
    for (int a = 0; a < m; ++a) {
      b(a, 0) = p.bhat(j, seen[a]) / (p.alpha == 1 ? p.shat(j, seen[a]) : 1);
      for (int c = 0; c < m; ++c)
        noise(a, c) = p.V(seen[a], seen[c]) * (p.alpha == 1 ? 1 : p.shat(j, seen[a]) * p.shat(j, seen[c]));
    }
    Vector joint(P);
    Matrix means(P, R), variances(P, R);
    for (int c = 0; c < P; ++c) {
      Matrix U(R, R);
      if (c > 0) {
        const Matrix& F = p.factors[(c - 1) % K];
        const quad w = p.grid[(c - 1) / K];
        U = times(F, transpose(F));
        for (quad& u : U.x) u *= w * w;
      }
      Matrix A = part(U, seen, seen);
      for (std::size_t i = 0; i < A.x.size(); ++i) A.x[i] += noise.x[i];
      joint[c] = logq(p.pi[c]) + (m > 0 ? log_density(A, b) : 0);
      const Matrix cross = part(U, seen, all(R));
      const Matrix X = m > 0 ? solve(A, cross) : cross;
      for (int r = 0; r < R; ++r) {
        variances(c, r) = U(r, r);
        for (int a = 0; a < m; ++a) {
          means(c, r) += X(a, r) * b(a, 0);
          variances(c, r) -= X(a, r) * cross(a, r);
        }
        if (U(r, r) == 0) variances(c, r) = 0;
      }
    }
    quad top = joint[0], total = 0;
    for (quad v : joint) top = fmaxq(top, v);
    for (quad v : joint) total += expq(v - top);
    loglik[j] = top + logq(total) - jacobian;
    for (int r = 0; r < R; ++r) {
      quad positive = 0;
      for (int c = 0; c < P; ++c) mean(j, r) += expq(joint[c] - top) / total * means(c, r);
      quad square = 0;
      for (int c = 0; c < P; ++c) {
        const quad w = expq(joint[c] - top) / total, off = means(c, r) - mean(j, r);
        square += w * (variances(c, r) + off * off);
        if (variances(c, r) == 0) {
          lfdr(j, r) += w;
        } else {
          const quad z = means(c, r) / sqrtq(variances(c, r));
          negative(j, r) += w * normal_below(-z);
          positive += w * normal_below(z);
        }
      }
      const quad scale = p.alpha == 1 ? p.shat(j, r) : 1;
      mean(j, r) *= scale;
      sd(j, r) = sqrtq(square) * scale;
      lfsr(j, r) = fminq(negative(j, r), positive) + lfdr(j, r);
    }
  }
  write(p.name, "vloglik", loglik);
  write(p.name, "PosteriorMean", mean);
  write(p.name, "PosteriorSD", sd);
  write(p.name, "NegativeProb", negative);
  write(p.name, "lfdr", lfdr);
  write(p.name, "lfsr", lfsr);
}

// ---- weights ----

// One condition: components null and N(0, w^2). vertex: the component that has all the weight, or -1: by EM.
void weights(const std::string& name, const std::vector<double>& bhat, double shat, const std::vector<double>& grid,
             double nullweight, int vertex) {
  const int J = static_cast<int>(bhat.size()), P = 1 + static_cast<int>(grid.size());
  write(name, "bhat", Vector(bhat.begin(), bhat.end()));
  write(name, "shat", 0, 0, shat);
  write(name, "grid", Vector(grid.begin(), grid.end()));
  write(name, "nullweight", 0, 0, nullweight);
  const quad s = shat, penalty = nullweight - 1, N = J + penalty;
  Matrix L(J, P);
  for (int j = 0; j < J; ++j)
    for (int p = 0; p < P; ++p) {
      const quad w = p == 0 ? 0 : grid[p - 1], variance = s * s + w * w, b = bhat[j];
      L(j, p) = expq(-b * b / (2 * variance)) / sqrtq(2 * M_PIq * variance);
    }
  Vector pi(P, vertex < 0 ? quad(1) / P : quad(0)), g(P);
  if (vertex >= 0) pi[vertex] = 1;
  quad objective = 0, worst = 0;
  for (int step = 0;; ++step) {
    for (quad& v : g) v = 0;
    objective = penalty > 0 ? penalty * logq(pi[0]) : 0;
    for (int j = 0; j < J; ++j) {
      quad f = 0;
      for (int p = 0; p < P; ++p) f += pi[p] * L(j, p);
      for (int p = 0; p < P; ++p) g[p] += L(j, p) / f;
      objective += logq(f);
    }
    if (penalty > 0) g[0] += penalty / pi[0];
    worst = -1;
    for (quad v : g) worst = fmaxq(worst, v / N - 1);
    if (worst < 1e-30 || vertex >= 0 || step == 1000000) break;
    for (int p = 0; p < P; ++p) pi[p] *= g[p] / N;
  }
  if (!(worst < 1e-20)) fail(("the weights of " + name + " are not the best").c_str());
  write(name, "pi", pi);
  write(name, "objective", 0, 0, objective);
}

// ---- factored covariances ----

void factor(const std::string& name, const Matrix& B, const std::vector<double>& D, const std::vector<double>& b,
            int given) {
  const int N = B.rows;
  write(name, "B", B);
  write(name, "D", Vector(D.begin(), D.end()));
  write(name, "b", Vector(b.begin(), b.end()));
  write(name, "given", 0, 0, given);
  Matrix S = times(B, transpose(B)), x(N, 1, b);
  for (int i = 0; i < N; ++i) S(i, i) += D[i];
  const Matrix P = solve(S, identity(N));
  Matrix partial(N, N);
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j) partial(i, j) = i == j ? quad(1) : -P(i, j) / sqrtq(P(i, i) * P(j, j));
  write(name, "solution", solve(S, x));
  write(name, "log_det", 0, 0, log_det(S));
  write(name, "precision", P);
  write(name, "partial", partial);
  write(name, "log_density", 0, 0, log_density(S, x));
  // The first `given` variables are known.
  std::vector<int> known, rest;
  for (int i = 0; i < N; ++i) (i < given ? known : rest).push_back(i);
  const Matrix cross = part(S, known, rest), X = solve(part(S, known, known), cross);
  Matrix mean(static_cast<int>(rest.size()), 1), covariance = part(S, rest, rest);
  const Matrix lost = times(transpose(cross), X);
  for (std::size_t i = 0; i < covariance.x.size(); ++i) covariance.x[i] -= lost.x[i];
  for (int i = 0; i < mean.rows; ++i)
    for (int a = 0; a < given; ++a) mean(i, 0) += X(a, i) * x(a, 0);
  write(name, "conditional_mean", mean);
  write(name, "conditional_covariance", covariance);
}

}  // namespace

int main() {
  std::printf("case,name,row,column,value\n");
  const Matrix V3(3, 3, {1, 0.5, 0.25, 0.5, 1, 0.5, 0.25, 0.5, 1});
  const std::vector<Matrix> factors = {
      Matrix(3, 3, {1, 0, 0, 0.5, 1, 0, -0.25, 0.5, 0.75}), Matrix(3, 1, {1, -0.5, 2}), Matrix(3, 1, {0, 1, 0})};
  const std::vector<double> pi = {0.25, 0.125, 0.125, 0.0625, 0.1875, 0.0625, 0.1875};
  const Matrix bhat(5, 3, {1.5, -0.25, 3, 0, 0, 0, missing, 2.5, -1, 8, 7.5, -6, missing, missing, -3});
  mash({"mash common", bhat, Matrix(5, 3, std::vector<double>(15, 1)), V3, factors, {0.5, 2}, pi, 0});
  const Matrix shat(5, 3, {0.5, 1, 2, 1, 1, 1, 0.75, 0.25, 3, 2, 1.5, 1, 4, 0.125, 0.5});
  mash({"mash rows", bhat, shat, V3, factors, {0.5, 2}, pi, 0});
  mash({"mash z", bhat, shat, V3, factors, {0.5, 2}, pi, 1});
  // Standard errors from 2^-10 to 2^10, errors of condition 6e8, effects of all sizes.
  const double near = 1 - 0x1p-29;
  mash({"mash ill", Matrix(3, 2, {0x1p-9, 3 * 0x1p-10, 0x1p11, -0x1p-10, 5, 5.0000001}),
        Matrix(3, 2, {0x1p-10, 0x1p-10, 0x1p10, 0x1p-10, 1, 1}), Matrix(2, 2, {1, near, near, 1}),
        {Matrix(2, 1, {1, 1}), Matrix(2, 2, {1, 0, 0.5, 0x1p-12})}, {1, 32}, {0.5, 0.125, 0.125, 0.125, 0.125}, 0});
  // Far in the tail.
  mash({"mash tail", Matrix(2, 1, {30, -8}), Matrix(2, 1, {1, 1}), Matrix(1, 1, {1}), {Matrix(1, 1, {1})}, {1, 8},
        {0.75, 0.125, 0.125}, 0});

  const std::vector<double> effects = {-3, -1, -0.5, 0, 0.25, 0.5, 1, 2, 4, 6};
  weights("weights", effects, 1, {1, 4}, 1, -1);
  weights("weights null", effects, 1, {1, 4}, 10, -1);
  // A flat likelihood, best at a vertex: 5e-6 and less to be gained from the start.
  weights("weights flat", {1, -1, 2}, 1024, {1, 2}, 1, 0);
  weights("weights flat large", {1500, -1400, 1600}, 1024, {1, 2}, 1, 2);
  weights("weights flat null", {1, -1, 2, 0}, 4096, {1, 2}, 10, 0);

  factor("factor plain", Matrix(4, 2, {1, 0, 0.5, 1, -1, 2, 0.25, -0.75}), {1, 0.5, 0.25, 2}, {1, -1, 0.5, 2}, 2);
  factor("factor tiny", Matrix(2, 1, {1, 1}), {1e-20, 1}, {1, -1}, 1);
  factor("factor full", Matrix(3, 3, {1, 0.5, -0.25, 0, 1, 0.75, 2, -1, 1}), {0x1p-46, 0x1p-46, 0x1p-46}, {1, 2, 3}, 1);
  factor("factor many", Matrix(3, 4, {1, 0.5, -0.25, 1, 0, 1, 0.75, -1, 2, -1, 1, 0.5}), {0x1p-40, 0x1p-60, 0x1p-50},
         {1, 2, 3}, 2);
  factor("factor zero", Matrix(4, 2, {1, 0, 0.5, 1, -1, 2, 0.25, -0.75}), {0, 0.5, 0, 0x1p-30}, {1, -1, 0.5, 2}, 2);
  factor("factor scales", Matrix(3, 1, {0x1p-20, 1, 0x1p20}), {0x1p-42, 1, 0x1p38}, {0x1p-20, -1, 0x1p20}, 1);
  return 0;
}
