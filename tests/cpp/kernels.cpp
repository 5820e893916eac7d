// The leaf loops, compiled once for all tests.
#define COVMASH_KERNELS_HERE
#include <covmash/simd/dispatch.h>
