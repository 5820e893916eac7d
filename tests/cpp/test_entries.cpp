#include <covmash/model/entries.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace covmash;

namespace {

const double inf = std::numeric_limits<double>::infinity();
const double none = std::numeric_limits<double>::quiet_NaN();
const double missing = -99.0;  // visible, where R has its NA

EntryOptions entry_options(double alpha = 0.0) {
  EntryOptions o;
  o.zero = 1e-8;
  o.alpha = alpha;
  o.missing = missing;
  return o;
}

Effects column(const std::vector<double>& b, const std::vector<double>& s) { return {b.data(), s.data(), b.size(), 1}; }

EntryCount of(const EntryCounts& counts, EntryKind kind) { return counts[static_cast<std::size_t>(kind)]; }

struct Scaled {
  std::vector<double> bhat, shat, shat_alpha;
};

Scaled scaled(const std::vector<double>& b, const std::vector<double>& s, const EntryOptions& options) {
  Scaled out{std::vector<double>(b.size()), std::vector<double>(b.size()), std::vector<double>(b.size())};
  SerialExecutor executor;
  scale_entries(column(b, s), options, out.bhat.data(), out.shat.data(), out.shat_alpha.data(), executor);
  return out;
}

}  // namespace

TEST(Entries, EveryKindIsCountedAndItsFirstFound) {
  const std::vector<double> b = {1.0, inf, none, 0.0, 1.0, 1.0, 0.0, none, 1.0};
  const std::vector<double> s = {1.0, 1.0, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0, inf};
  SerialExecutor executor;
  const EntryCounts counts = count_entries(column(b, s), entry_options(), executor);
  EXPECT_EQ(of(counts, EntryKind::bhat_not_a_number).count, 1u);
  EXPECT_EQ(of(counts, EntryKind::bhat_not_a_number).first, 1u);
  EXPECT_EQ(of(counts, EntryKind::both_zero).count, 2u);
  EXPECT_EQ(of(counts, EntryKind::both_zero).first, 3u);
  EXPECT_EQ(of(counts, EntryKind::shat_zero).count, 2u);  // the negative one too
  EXPECT_EQ(of(counts, EntryKind::shat_negative).first, 5u);
  EXPECT_EQ(of(counts, EntryKind::unobserved).count, 3u);
  EXPECT_EQ(of(counts, EntryKind::unobserved).first, 2u);
  EXPECT_EQ(of(counts, EntryKind::shat_unused).first, 7u);
  EXPECT_EQ(of(counts, EntryKind::shat_not_a_number).count, 0u);
}

TEST(Entries, WhatIsNotANumberIsToldFromWhatIsMissing) {
  EntryOptions options = entry_options();
  options.is_missing = [](double x) { return std::isnan(x) && std::signbit(x); };
  const std::vector<double> b = {std::copysign(none, -1.0), std::copysign(none, 1.0), 1.0, 1.0};
  const std::vector<double> s = {1.0, 1.0, std::copysign(none, -1.0), std::copysign(none, 1.0)};
  SerialExecutor executor;
  const EntryCounts counts = count_entries(column(b, s), options, executor);
  EXPECT_EQ(of(counts, EntryKind::unobserved).count, 1u);
  EXPECT_EQ(of(counts, EntryKind::bhat_not_a_number).first, 1u);
  EXPECT_EQ(of(counts, EntryKind::shat_missing).first, 2u);
  EXPECT_EQ(of(counts, EntryKind::shat_not_a_number).first, 3u);
}

TEST(Entries, CountsOfManyTasksAreAddedInOrder) {
  const std::size_t n = 3 * detail::entries_a_task + 5;
  std::vector<double> b(n, 1.0), s(n, 1.0);
  for (std::size_t i : {n - 1, n / 2, n / 4}) s[i] = -1.0;
  for (std::size_t threads : {1, 3}) {
    ThreadExecutor executor(threads);
    const EntryCount negative = of(count_entries(column(b, s), entry_options(), executor), EntryKind::shat_negative);
    EXPECT_EQ(negative.count, 3u);
    EXPECT_EQ(negative.first, n / 4);
  }
}

TEST(Entries, UnobservedOnesAreMissingAndTheOthersAsTheyWere) {
  const Scaled x = scaled({1.5, none, 2.0, 3.0, none}, {0.5, 1.0, inf, none, 0.0}, entry_options());
  EXPECT_EQ(x.bhat, std::vector<double>({1.5, missing, missing, missing, missing}));
  EXPECT_EQ(x.shat, std::vector<double>({0.5, missing, missing, missing, missing}));
  EXPECT_EQ(x.shat_alpha, std::vector<double>({1.0, 1.0, 1.0, 1.0, 1.0}));
}

TEST(Entries, AlphaDividesEstimatesAndErrors) {
  for (double alpha : {0.5, 1.0, 2.0, -1.0}) {
    const Scaled x = scaled({1.5, none, 2.0}, {0.25, 4.0, inf}, entry_options(alpha));
    EXPECT_DOUBLE_EQ(x.shat_alpha[0], std::pow(0.25, alpha));
    EXPECT_DOUBLE_EQ(x.bhat[0], 1.5 / std::pow(0.25, alpha));
    EXPECT_DOUBLE_EQ(x.shat[0], std::pow(0.25, 1.0 - alpha));
    EXPECT_DOUBLE_EQ(x.shat_alpha[1], std::pow(4.0, alpha));
    EXPECT_EQ(x.bhat[1], missing);
    EXPECT_EQ(x.shat[1], missing);
    EXPECT_EQ(x.shat_alpha[2], missing);
  }
}

TEST(Entries, ZerosAreResetToWhatIsAskedFor) {
  EntryOptions options = entry_options(1.0);
  options.shat_for_both = 7.0;
  options.shat_for_zero = 2.0;
  const Scaled x = scaled({0.0, 3.0, 3.0}, {0.0, 1e-9, 1e-7}, options);
  EXPECT_EQ(x.shat_alpha, std::vector<double>({7.0, 2.0, 1e-7}));
  EXPECT_EQ(x.bhat, std::vector<double>({0.0, 1.5, 3.0 / 1e-7}));
}

TEST(Entries, RowsWithNothingObserved) {
  const std::vector<double> b = {1.0, none, none, none, none, 2.0}, s(6, 1.0);
  SerialExecutor executor;
  EXPECT_EQ(empty_rows({b.data(), s.data(), 3, 2}, executor), std::vector<std::size_t>({1}));
}
