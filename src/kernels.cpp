// The leaf loops, compiled once for the whole package.
#define COVMASH_KERNELS_HERE
#include <covmash/simd/dispatch.h>
