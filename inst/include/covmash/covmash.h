#pragma once
// The covmash core: header-only C++17 on Armadillo, no R in it. Packages that link to covmash include <RcppArmadillo.h>
// first, then this.

#include "model/covariance.h"
#include "deconvolution/fit.h"
#include "factor/fit.h"
#include "factor/missing.h"
#include "mash/fit.h"
#include "sweep/sweep.h"
#include "model/noise.h"
#include "mash/posterior.h"
#include "model/prior.h"
#include "mash/weights.h"
