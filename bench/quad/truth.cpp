// The true answers of one mash problem, in 113-bit arithmetic: bench/accuracy.R compares with them.
//
//   truth INPUT OUTPUT [check]
//
// bhat_j ~ N(b_j, V_j), V_j = S_j C S_j on the observed conditions O of effect j, b_j ~ N(0, w U), U = F F'. Everything
// read is taken as exact. For every effect, factor F and variance w:
//
//   log-likelihood   log N(bhat_j; 0, V_j + w U), by a dense Cholesky factorization of V_j + w U
//   mean             w F K^-1 F' V^-1 bhat, K = I + w F' V^-1 F
//   sd               root of the diagonal of w F K^-1 F'; nothing cancels in this form
//   negative         Phi(-mean / sd), or 0 where F has a zero row
//
// With "check" each of them is computed by the other form as well, w U A^-1 bhat, w U - w U A^-1 w U with A = V + w U
// and log|V| + log|K|, and the largest difference of the two forms is written too: what the truth can be trusted to.
// Cost for an effect, F and w: a few R^3 multiplications of about 40 ns.
//
// Files, in the machine's byte order, matrices column by column. INPUT starts with four 32-bit whole numbers, J, R, K
// and L; then come doubles:
//   bhat             J x R, NaN: missing
//   shat             J x R
//   C                R x R
//   factors F        R x R x K, zero columns at the end
//   variances w      L
// OUTPUT has doubles only: first all numbers rounded to double, then all that the rounding left, then the three
// differences of the check, of log-likelihood (relative to max(1, |value|)), mean (in sd) and sd (relative):
//   log-likelihood   J x K x L
//   mean             J x R x K x L
//   sd, negative     the same

#include <quadmath.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using quad = __float128;

[[noreturn]] void fail(const char* message) {
  std::fprintf(stderr, "truth: %s\n", message);
  std::exit(1);
}

struct Matrix {
  int rows = 0, cols = 0;
  std::vector<quad> x;

  Matrix(int rows, int cols) : rows(rows), cols(cols), x(static_cast<std::size_t>(rows) * cols, 0) {}
  quad& operator()(int i, int j) { return x[static_cast<std::size_t>(j) * rows + i]; }
  quad operator()(int i, int j) const { return x[static_cast<std::size_t>(j) * rows + i]; }
};

using Vector = std::vector<quad>;

// A = L L'; the upper triangle of the result is not used.
Matrix cholesky(Matrix A) {
  const int n = A.rows;
  for (int j = 0; j < n; ++j) {
    for (int k = 0; k < j; ++k)
      for (int i = j; i < n; ++i) A(i, j) -= A(i, k) * A(j, k);
    if (!(A(j, j) > 0)) fail("a covariance matrix is not positive definite");
    A(j, j) = sqrtq(A(j, j));
    for (int i = j + 1; i < n; ++i) A(i, j) /= A(j, j);
  }
  return A;
}

// L^-1 X, column by column.
Matrix solve_lower(const Matrix& L, Matrix X) {
  for (int c = 0; c < X.cols; ++c)
    for (int i = 0; i < L.rows; ++i) {
      X(i, c) /= L(i, i);
      for (int r = i + 1; r < L.rows; ++r) X(r, c) -= L(r, i) * X(i, c);
    }
  return X;
}

Vector solve_lower(const Matrix& L, const Vector& x) {
  Matrix X(L.rows, 1);
  X.x = x;
  return solve_lower(L, X).x;
}

quad sum_squares(const Vector& x) {
  quad sum = 0;
  for (quad v : x) sum += v * v;
  return sum;
}

// A'B and A'x
Matrix cross(const Matrix& A, const Matrix& B) {
  Matrix out(A.cols, B.cols);
  for (int j = 0; j < B.cols; ++j)
    for (int i = 0; i < A.cols; ++i)
      for (int r = 0; r < A.rows; ++r) out(i, j) += A(r, i) * B(r, j);
  return out;
}

Vector cross(const Matrix& A, const Vector& x) {
  Vector out(A.cols, 0);
  for (int i = 0; i < A.cols; ++i)
    for (int r = 0; r < A.rows; ++r) out[i] += A(r, i) * x[r];
  return out;
}

Matrix transpose(const Matrix& A) {
  Matrix out(A.cols, A.rows);
  for (int i = 0; i < A.rows; ++i)
    for (int j = 0; j < A.cols; ++j) out(j, i) = A(i, j);
  return out;
}

Matrix rows_of(const Matrix& A, const std::vector<int>& rows) {
  Matrix out(static_cast<int>(rows.size()), A.cols);
  for (int j = 0; j < A.cols; ++j)
    for (std::size_t i = 0; i < rows.size(); ++i) out(static_cast<int>(i), j) = A(rows[i], j);
  return out;
}

quad log_determinant(const Matrix& L) {
  quad sum = 0;
  for (int i = 0; i < L.rows; ++i) sum += logq(L(i, i));
  return 2 * sum;
}

quad log_density(int n, quad log_det, quad quadratic) { return -(n * logq(2 * M_PIq) + log_det + quadratic) / 2; }

struct Problem {
  int J = 0, R = 0, K = 0, L = 0;
  std::vector<double> bhat, shat;
  Matrix C{0, 0};
  std::vector<Matrix> factors;
  std::vector<double> w;
};

std::vector<double> read_doubles(std::FILE* file, std::size_t n) {
  std::vector<double> out(n);
  if (n > 0 && std::fread(out.data(), sizeof(double), n, file) != n) fail("the input ends too early");
  return out;
}

Matrix read_matrix(std::FILE* file, int rows, int cols) {
  const std::vector<double> x = read_doubles(file, static_cast<std::size_t>(rows) * cols);
  Matrix out(rows, cols);
  std::copy(x.begin(), x.end(), out.x.begin());
  return out;
}

// Without the zero columns at the end.
Matrix trim(const Matrix& F) {
  int rank = F.cols;
  const auto empty = [&](int c) {
    for (int r = 0; r < F.rows; ++r)
      if (F(r, c) != 0) return false;
    return true;
  };
  while (rank > 0 && empty(rank - 1)) --rank;
  Matrix out(F.rows, rank);
  std::copy(F.x.begin(), F.x.begin() + static_cast<std::ptrdiff_t>(out.x.size()), out.x.begin());
  return out;
}

Problem read_problem(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (!file) fail("the input cannot be opened");
  std::int32_t size[4];
  if (std::fread(size, sizeof size[0], 4, file) != 4) fail("the input ends too early");
  Problem p;
  p.J = size[0];
  p.R = size[1];
  p.K = size[2];
  p.L = size[3];
  const std::size_t cells = static_cast<std::size_t>(p.J) * p.R;
  p.bhat = read_doubles(file, cells);
  p.shat = read_doubles(file, cells);
  p.C = read_matrix(file, p.R, p.R);
  for (int k = 0; k < p.K; ++k) p.factors.push_back(trim(read_matrix(file, p.R, p.R)));
  p.w = read_doubles(file, p.L);
  std::fclose(file);
  return p;
}

// One effect: its noise on the observed conditions.
struct Effect {
  std::vector<int> observed;
  Vector bhat;
  Matrix V{0, 0}, chol{0, 0};
  Vector z;  // chol^-1 bhat
};

Effect effect(const Problem& p, int j) {
  Effect e;
  Vector s;
  for (int r = 0; r < p.R; ++r) {
    const std::size_t at = static_cast<std::size_t>(r) * p.J + j;
    if (p.bhat[at] != p.bhat[at]) continue;
    e.observed.push_back(r);
    e.bhat.push_back(p.bhat[at]);
    s.push_back(p.shat[at]);
  }
  const int m = static_cast<int>(e.observed.size());
  e.V = Matrix(m, m);
  for (int a = 0; a < m; ++a)
    for (int b = 0; b < m; ++b) e.V(a, b) = s[a] * p.C(e.observed[a], e.observed[b]) * s[b];
  e.chol = cholesky(e.V);
  e.z = solve_lower(e.chol, e.bhat);
  return e;
}

struct Answer {
  quad loglik = 0;
  Vector mean, variance;
};

// A = V + w U, dense. The posterior only if asked for.
Answer dense(const Effect& e, const Matrix& F, quad w, bool posterior) {
  const int m = static_cast<int>(e.observed.size()), R = F.rows;
  const Matrix Ft = transpose(F), seen = transpose(rows_of(F, e.observed));
  Matrix U = cross(seen, Ft);  // observed x all
  for (quad& u : U.x) u *= w;
  Matrix A = e.V;
  for (int a = 0; a < m; ++a)
    for (int b = 0; b < m; ++b) A(a, b) += U(a, e.observed[b]);
  const Matrix L = cholesky(A);
  const Vector z = solve_lower(L, e.bhat);
  Answer out;
  out.loglik = log_density(m, log_determinant(L), sum_squares(z));
  if (!posterior) return out;
  const Matrix X = solve_lower(L, U);
  out.mean = cross(X, z);
  for (int r = 0; r < R; ++r) {
    quad variance = 0;
    for (int c = 0; c < F.cols; ++c) variance += w * F(r, c) * F(r, c);
    for (int a = 0; a < m; ++a) variance -= X(a, r) * X(a, r);
    out.variance.push_back(variance);
  }
  return out;
}

// By K = I + w F' V^-1 F.
Answer by_factor(const Effect& e, const Matrix& F, const Matrix& whitened, quad w) {
  const int R = F.rows, q = F.cols, m = static_cast<int>(e.observed.size());
  Matrix K = cross(whitened, whitened);
  for (quad& k : K.x) k *= w;
  for (int i = 0; i < q; ++i) K(i, i) += 1;
  const Matrix N = cholesky(K);
  const Vector Gz = cross(whitened, e.z), y = solve_lower(N, Gz);
  const Matrix X = solve_lower(N, transpose(F));
  Answer out;
  out.loglik = log_density(m, log_determinant(e.chol) + log_determinant(N), sum_squares(e.z) - w * sum_squares(y));
  out.mean = cross(X, y);
  out.variance.assign(R, 0);
  for (int r = 0; r < R; ++r) {
    out.mean[r] *= w;
    for (int c = 0; c < q; ++c) out.variance[r] += w * X(c, r) * X(c, r);
  }
  return out;
}

struct Output {
  std::vector<quad> loglik, mean, sd, negative;
  quad loglik_doubt = 0, mean_doubt = 0, sd_doubt = 0;
};

void compare(const Answer& a, const Answer& b, Output& out) {
  out.loglik_doubt = fmaxq(out.loglik_doubt, fabsq(a.loglik - b.loglik) / fmaxq(1, fabsq(a.loglik)));
  for (std::size_t r = 0; r < a.mean.size(); ++r) {
    if (a.variance[r] == 0) continue;
    const quad sd = sqrtq(a.variance[r]);
    out.mean_doubt = fmaxq(out.mean_doubt, fabsq(a.mean[r] - b.mean[r]) / sd);
    out.sd_doubt = fmaxq(out.sd_doubt, fabsq(a.variance[r] - b.variance[r]) / (2 * a.variance[r]));
  }
}

Output solve(const Problem& p, bool check) {
  const std::size_t J = p.J, R = p.R, components = static_cast<std::size_t>(p.K) * p.L;
  Output out;
  out.loglik.resize(J * components);
  for (auto* x : {&out.mean, &out.sd, &out.negative}) x->resize(J * R * components);
  for (int j = 0; j < p.J; ++j) {
    const Effect e = effect(p, j);
    for (int k = 0; k < p.K; ++k) {
      const Matrix& F = p.factors[k];
      const Matrix whitened = solve_lower(e.chol, rows_of(F, e.observed));
      for (int l = 0; l < p.L; ++l) {
        const Answer posterior = by_factor(e, F, whitened, p.w[l]), plain = dense(e, F, p.w[l], check);
        if (check) compare(posterior, plain, out);
        const std::size_t component = static_cast<std::size_t>(l) * p.K + k;
        out.loglik[component * J + j] = plain.loglik;
        for (std::size_t r = 0; r < R; ++r) {
          const std::size_t at = (component * R + r) * J + j;
          const quad sd = sqrtq(posterior.variance[r]);
          out.mean[at] = posterior.mean[r];
          out.sd[at] = sd;
          out.negative[at] = sd > 0 ? erfcq(posterior.mean[r] / (sd * M_SQRT2q)) / 2 : 0;
        }
      }
    }
  }
  return out;
}

void write_doubles(std::FILE* file, const std::vector<double>& x) {
  if (std::fwrite(x.data(), sizeof(double), x.size(), file) != x.size()) fail("the output cannot be written");
}

void write_output(const char* path, const Output& out) {
  std::FILE* file = std::fopen(path, "wb");
  if (!file) fail("the output cannot be written");
  for (bool rest : {false, true})
    for (const auto* x : {&out.loglik, &out.mean, &out.sd, &out.negative}) {
      std::vector<double> y(x->size());
      std::transform(x->begin(), x->end(), y.begin(), [rest](quad v) {
        const double head = static_cast<double>(v);
        return rest ? static_cast<double>(v - head) : head;
      });
      write_doubles(file, y);
    }
  write_doubles(file, {static_cast<double>(out.loglik_doubt), static_cast<double>(out.mean_doubt),
                       static_cast<double>(out.sd_doubt)});
  if (std::fclose(file) != 0) fail("the output cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) fail("usage: truth INPUT OUTPUT [check]");
  write_output(argv[2], solve(read_problem(argv[1]), argc > 3));
}
