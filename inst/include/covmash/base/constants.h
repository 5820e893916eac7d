#pragma once
// Mathematical constants that more than one header needs.

namespace covmash {

constexpr double log_sqrt_2pi = 0.91893853320467274178;  // log(2 pi) / 2

}  // namespace covmash
