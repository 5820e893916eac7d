#pragma once
// What the machine can do at best, one thread: multiply-adds from registers, divisions, square roots, and reading from
// L1, L2 and memory. Loops of our own per instruction set, so that a kernel's share is of something that was measured,
// not of a data sheet.
//
// The baseline of x86-64 has no fused multiply-add: its peak is that of a multiplication and an addition.

#include <covmash/simd/dispatch.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace peak {

inline volatile double sink = 0.0;  // results go here, so that no loop is left out

struct Clock {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }
};

// Seconds a call, the best of five measurements of at least `least` seconds each: others' work only ever adds.
template <typename Run>
double best_seconds(Run run, double least) {
  std::size_t calls = 1;
  double best = 1e300;
  run();
  for (int measurement = 0; measurement < 5;) {
    const Clock clock;
    for (std::size_t i = 0; i < calls; ++i) run();
    const double taken = clock.seconds();
    if (taken < least && calls < (std::size_t(1) << 40)) {
      calls = std::max<std::size_t>(2 * calls, static_cast<std::size_t>(1.2 * calls * least / std::max(taken, 1e-9)));
      continue;
    }
    best = std::min(best, taken / static_cast<double>(calls));
    ++measurement;
  }
  return best;
}

#define PEAK_UNROLL _Pragma("GCC unroll 12")

// Twelve independent chains hide the latency; the constants keep the values near 1.
#define PEAK_LOOPS(NAMESPACE, TARGET, BYTES)                                                                \
  namespace NAMESPACE {                                                                                     \
  template <typename T>                                                                                     \
  struct Vector {                                                                                           \
    typedef T type __attribute__((vector_size(BYTES), may_alias));                                          \
  };                                                                                                        \
  template <typename T>                                                                                     \
  TARGET inline double multiply_adds(std::size_t n) {                                                       \
    using V = typename Vector<T>::type;                                                                     \
    V sum[12], a = V{} + T(0.999), b = V{} + T(0.001);                                                      \
    PEAK_UNROLL for (int i = 0; i < 12; ++i) sum[i] = V{} + T(1.0 + 0.01 * i);                              \
    for (std::size_t k = 0; k < n; ++k) PEAK_UNROLL for (int i = 0; i < 12; ++i) sum[i] = sum[i] * a + b;   \
    V total = V{};                                                                                          \
    PEAK_UNROLL for (int i = 0; i < 12; ++i) total += sum[i];                                               \
    return static_cast<double>(total[0] + total[1]);                                                        \
  }                                                                                                         \
  TARGET inline double divisions(std::size_t n) {                                                           \
    using V = covmash::simd::NAMESPACE::vd;                                                                 \
    V x[12], a = V{} + 1.001;                                                                               \
    PEAK_UNROLL for (int i = 0; i < 12; ++i) x[i] = V{} + (1.0 + 0.01 * i);                                 \
    for (std::size_t k = 0; k < n; ++k) PEAK_UNROLL for (int i = 0; i < 12; ++i) x[i] = a / x[i];           \
    V total = V{};                                                                                          \
    PEAK_UNROLL for (int i = 0; i < 12; ++i) total += x[i];                                                 \
    return total[0] + total[1];                                                                             \
  }                                                                                                         \
  TARGET inline double roots(std::size_t n) {                                                               \
    using V = covmash::simd::NAMESPACE::vd;                                                                 \
    V x[12];                                                                                                \
    PEAK_UNROLL for (int i = 0; i < 12; ++i) x[i] = V{} + (1.1 + 0.01 * i);                                 \
    for (std::size_t k = 0; k < n; ++k)                                                                     \
      PEAK_UNROLL for (int i = 0; i < 12; ++i) x[i] = covmash::simd::NAMESPACE::sqrt(x[i]);                 \
    V total = V{};                                                                                          \
    PEAK_UNROLL for (int i = 0; i < 12; ++i) total += x[i];                                                 \
    return total[0] + total[1];                                                                             \
  }                                                                                                         \
  TARGET inline double read(const double* x, std::size_t n) {                                               \
    using V = typename Vector<double>::type;                                                                \
    constexpr std::size_t W = BYTES / sizeof(double);                                                       \
    V sum[8] = {};                                                                                          \
    for (std::size_t k = 0; k + 8 * W <= n; k += 8 * W)                                                     \
      PEAK_UNROLL for (std::size_t i = 0; i < 8; ++i) sum[i] += *reinterpret_cast<const V*>(x + k + i * W); \
    V total = V{};                                                                                          \
    PEAK_UNROLL for (int i = 0; i < 8; ++i) total += sum[i];                                                \
    return total[0] + total[1];                                                                             \
  }                                                                                                         \
  }

PEAK_LOOPS(baseline, , 16)
#if COVMASH_DISPATCH_X86
PEAK_LOOPS(avx2, __attribute__((target("avx2,fma"))), 32)
PEAK_LOOPS(avx512, __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), 64)
#endif

// Bytes of a cache of this machine, or a common size where the system does not tell.
inline double cache_bytes(int level) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  const long known = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
  if (known > 0) return static_cast<double>(known);
#endif
  return level == 1 ? 32768.0 : 1048576.0;
}

struct Machine {
  double double_flops, float_flops, divisions, roots;  // a second
  double l1_bytes, l2_bytes, memory_bytes;             // read, a second
  double l1_size = cache_bytes(1), l2_size = cache_bytes(2);

  // A working set that is read again and again comes from the first level that holds it.
  double bytes(double working_set) const {
    return working_set <= l1_size ? l1_bytes : working_set <= l2_size ? l2_bytes : memory_bytes;
  }
  const char* level(double working_set) const {
    return working_set <= l1_size ? "L1" : working_set <= l2_size ? "L2" : "memory";
  }
};

template <typename Double, typename Float, typename Divide, typename Root, typename Read>
Machine measure(std::size_t width, Double double_loop, Float float_loop, Divide divide, Root root, Read read,
                const std::vector<double>& memory, double least) {
  constexpr std::size_t steps = 20000;
  const double w = static_cast<double>(width), flops = 2.0 * 12.0 * steps;
  const auto rate = [&](std::size_t n) {
    const double* x = memory.data() + (64 - reinterpret_cast<std::size_t>(memory.data()) % 64) / 8 % 8;
    return 8.0 * static_cast<double>(n) / best_seconds([&] { sink = read(x, n); }, least);
  };
  Machine m;
  m.double_flops = flops * w / best_seconds([&] { sink = double_loop(steps); }, least);
  m.float_flops = 2.0 * flops * w / best_seconds([&] { sink = float_loop(steps); }, least);
  m.divisions = 0.5 * flops * w / best_seconds([&] { sink = divide(steps); }, least);
  m.roots = 0.5 * flops * w / best_seconds([&] { sink = root(steps); }, least);
  m.l1_bytes = rate(3072);
  m.l2_bytes = rate(131072);
  m.memory_bytes = rate(memory.size() - 64);
  return m;
}

// By the name of a kernel table.
inline Machine measure_machine(const std::string& set, const std::vector<double>& memory, double least) {
#if COVMASH_DISPATCH_X86
  if (set == "avx512")
    return measure(8, avx512::multiply_adds<double>, avx512::multiply_adds<float>, avx512::divisions, avx512::roots,
                   avx512::read, memory, least);
  if (set == "avx2")
    return measure(4, avx2::multiply_adds<double>, avx2::multiply_adds<float>, avx2::divisions, avx2::roots, avx2::read,
                   memory, least);
#endif
  return measure(2, baseline::multiply_adds<double>, baseline::multiply_adds<float>, baseline::divisions,
                 baseline::roots, baseline::read, memory, least);
}

}  // namespace peak
