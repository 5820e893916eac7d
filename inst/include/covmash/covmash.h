#pragma once
// The covmash core: header-only C++17 on Armadillo, no R in it. Packages that link to covmash include <RcppArmadillo.h>
// first, then this.

#include "covariance.h"
#include "deconvolution.h"
#include "factor_fit.h"
#include "factor_missing.h"
#include "fit.h"
#include "likelihood.h"
#include "noise.h"
#include "posterior.h"
#include "prior.h"
#include "weights.h"
