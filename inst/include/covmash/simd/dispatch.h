#pragma once
// The leaf loops of covmash, compiled once per instruction set and chosen when first used.
//
// The package is compiled for the platform's baseline. Where the compiler can (GCC and clang on x86-64, not on Windows,
// whose stack is not aligned for wide registers) the same source is compiled again for AVX2+FMA and AVX-512, and the
// widest set the processor has is used. Within one instruction set results have the same bits for any thread count,
// block or subset of effects; between sets they differ by rounding only.
//
// The loops take most of the time that a file takes to compile. A project of several files can define
// COVMASH_KERNELS_ELSEWHERE for all of them but one, which defines COVMASH_KERNELS_HERE; without either, every file has
// its own and the linker keeps one.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"

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

#if defined(COVMASH_KERNELS_ELSEWHERE) && !defined(COVMASH_KERNELS_HERE)
namespace baseline {
const KernelTable& table();
}
#if COVMASH_DISPATCH_X86
namespace avx2 {
const KernelTable& table();
}
namespace avx512 {
const KernelTable& table();
}
#endif
#else
#if defined(COVMASH_KERNELS_HERE)
#define COVMASH_TABLE
#else
#define COVMASH_TABLE inline
#endif

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
#undef COVMASH_TABLE
#endif  // the loops are elsewhere

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
