// SPDX-License-Identifier: Apache-2.0
// The optimizers against their formulas with running error bounds, against bitsandbytes itself
// (golden/make_adamw8bit.py), and for the same bits whatever the number of threads.
#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <span>
#include <tuple>

#include "base/checked.h"
#include "base/threads.h"
#include "kernels/code_books.h"
#include "support/hash_noise.h"
#include "support/op_harness.h"
#include "support/simd_targets.h"
#include "support/test_vector.h"

namespace nibble {
namespace {

constexpr double kRate = 1e-3, kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
constexpr float kScale = 0.7f;

/// Segments of the given sizes with a gap of 3 between them; the last has no decay.
std::vector<ParameterRange> make_segments(const std::vector<int64_t>& counts) {
  std::vector<ParameterRange> segments;
  int64_t at = 2;
  for (const int64_t count : counts) {
    segments.push_back({.begin = at, .count = count, .weight_decay = 0.1f});
    at += count + 3;
  }
  segments.back().weight_decay = 0.0f;
  return segments;
}
int64_t flat_size(const std::vector<ParameterRange>& s) {
  return s.back().begin + s.back().count + 1;
}

/// What lies in segments is given by element(i, decay); the rest stays as it is.
template <class Element>
std::vector<Bounded> over_segments(const Buffer& start, const std::vector<ParameterRange>& segments,
                                   const Element& element) {
  std::vector<Bounded> want;
  for (int64_t i = 0; i < start.size(); ++i) want.emplace_back(start.at(i));
  for (const ParameterRange& s : segments)
    for (int64_t i = s.begin; i < s.begin + s.count; ++i)
      want[static_cast<size_t>(i)] = element(i, static_cast<double>(s.weight_decay));
  return want;
}

/// A hyperparameter as fp32 holds it.
Bounded narrow(double x) {
  return Bounded(x).rounded();
}

const std::vector<std::vector<int64_t>> kSizes = {{1}, {7, 15, 16, 17}, {255, 256, 257}, {9000, 3}};

TEST(AdamW, EqualsTheFormula) {
  constexpr uint64_t kSeed = 21;
  on_every_target([](const std::string& target) {
    for (const auto& sizes : kSizes)
      for (const int64_t step : {1, 1000}) {
        const auto segments = make_segments(sizes);
        const int64_t p = flat_size(segments);
        OpCase op(cat("adamw ", target, " (", p, ") step ", step), kSeed);
        Buffer& values = op.in_place("values", Dtype::kF32, {p});
        Buffer& g = op.input("gradients", Dtype::kF32, {p});
        Buffer& m = op.in_place("m", Dtype::kF32, {p});
        Buffer& v = op.in_place("v", Dtype::kF32, {p});
        v.fill_uniform(op.rng(), 0.0, 1.0);
        const auto t = static_cast<double>(step);
        const auto grad = [&](int64_t i) { return Bounded(g.at(i)) * Bounded(kScale); };
        const auto new_m = [&](int64_t i, double) {
          return narrow(1 - kBeta1) * grad(i) + narrow(kBeta1) * Bounded(m.at(i));
        };
        const auto new_v = [&](int64_t i, double) {
          return narrow(1 - kBeta2) * grad(i) * grad(i) + narrow(kBeta2) * Bounded(v.at(i));
        };
        const auto new_p = [&](int64_t i, double decay) {
          const Bounded root = sqrt(new_v(i, decay)) / narrow(std::sqrt(1 - std::pow(kBeta2, t)));
          return Bounded(values.at(i)) * narrow(1 - kRate * decay) -
                 narrow(kRate / (1 - std::pow(kBeta1, t))) * new_m(i, decay) /
                     (root + narrow(kEpsilon));
        };
        op.want(values, over_segments(values, segments, new_p));
        op.want(m, over_segments(m, segments, new_m));
        op.want(v, over_segments(v, segments, new_v));
        op.check([&] {
          adamw({.values = values.tensor(),
                 .gradients = g.tensor(),
                 .m = m.tensor(),
                 .v = v.tensor(),
                 .segments = segments,
                 .learning_rate = kRate,
                 .gradient_scale = kScale,
                 .step = step});
        });
      }
  });
}

TEST(Sgd, EqualsTheFormula) {
  constexpr uint64_t kSeed = 22;
  on_every_target([](const std::string& target) {
    for (const auto& sizes : kSizes)
      for (const int64_t step : {0, 1, 2}) {  // 0: without momentum
        const auto segments = make_segments(sizes);
        const int64_t p = flat_size(segments);
        OpCase op(cat("sgd ", target, " (", p, ") step ", step), kSeed);
        Buffer& values = op.in_place("values", Dtype::kF32, {p});
        Buffer& g = op.input("gradients", Dtype::kF32, {p});
        Buffer& momentum = op.in_place("momentum", Dtype::kF32, {p});
        const auto change = [&](int64_t i, double decay) {
          Bounded b = Bounded(decay) * Bounded(values.at(i)) + Bounded(g.at(i)) * Bounded(kScale);
          return step == 2 ? narrow(kBeta1) * Bounded(momentum.at(i)) + b : b;
        };
        op.want(values, over_segments(values, segments, [&](int64_t i, double decay) {
                  return Bounded(values.at(i)) - narrow(kRate) * change(i, decay);
                }));
        op.want(momentum, over_segments(momentum, segments, [&](int64_t i, double decay) {
                  return step == 0 ? Bounded(momentum.at(i)) : change(i, decay);
                }));
        op.check([&] {
          sgd({.values = values.tensor(),
               .gradients = g.tensor(),
               .momentum = step == 0 ? Tensor{} : momentum.tensor(),
               .segments = segments,
               .learning_rate = kRate,
               .beta = step == 0 ? 0.0 : kBeta1,
               .gradient_scale = kScale,
               .step = std::max<int64_t>(1, step)});
        });
      }
  });
}

/// All that adamw8bit reads and writes, for the three tensors of the golden file, adjoining.
struct State8bit {
  std::vector<ParameterRange> segments = {{.begin = 0, .count = 4133, .weight_decay = 0.01f},
                                          {.begin = 4133, .count = 100, .weight_decay = 0.1f},
                                          {.begin = 4233, .count = 4096, .weight_decay = 0.0f}};
  static constexpr int64_t kElements = 4133 + 100 + 4096;
  TestVector<float> values, gradients, m_absmax, v_absmax, m_small, v_small;
  TestVector<uint8_t> m_codes, v_codes;

  State8bit() {
    const auto blocks = static_cast<size_t>(adamw8bit_blocks(segments));
    const auto small = static_cast<size_t>(adamw8bit_small(segments));
    values.resize(kElements);
    gradients.resize(kElements);
    for (uint32_t i = 0; i < kElements; ++i) values[i] = hash_noise(i, 0);
    m_absmax.assign(blocks, 0.0f);
    v_absmax.assign(blocks, 0.0f);
    m_small.assign(small, 0.0f);
    v_small.assign(small, 0.0f);
    m_codes.assign(kElements, 0);
    v_codes.assign(kElements, 0);
  }
  AdamW8bit op(int64_t step) {
    const auto flat = [](auto& v) { return test_view(v.data(), {static_cast<int64_t>(v.size())}); };
    return {.values = flat(values),
            .gradients = flat(gradients),
            .m_codes = flat(m_codes),
            .v_codes = flat(v_codes),
            .m_absmax = flat(m_absmax),
            .v_absmax = flat(v_absmax),
            .m_small = flat(m_small),
            .v_small = flat(v_small),
            .segments = segments,
            .learning_rate = kRate,
            .step = step};
  }
  void run(int64_t steps) {
    for (int64_t step = 1; step <= steps; ++step) {
      for (uint32_t i = 0; i < kElements; ++i) {
        const float g = hash_noise(i, static_cast<uint32_t>(step));
        gradients[i] = g * g * g;
      }
      and_wait([&] { adamw8bit(op(step)); });
    }
  }
  /// In the order of the golden file.
  std::string bytes() const {
    std::string out;
    const auto put = [&](const auto& v, int64_t first, int64_t count) {
      const size_t size = sizeof v[0];
      out.append(reinterpret_cast<const char*>(v.data()) + static_cast<size_t>(first) * size,
                 static_cast<size_t>(count) * size);
    };
    int64_t block = 0;
    for (const ParameterRange& s : segments) {
      put(values, s.begin, s.count);
      if (s.count < 4096) {
        put(m_small, 0, s.count);
        put(v_small, 0, s.count);
        continue;
      }
      const int64_t blocks = ceil_div<int64_t>(s.count, 256);
      put(m_codes, s.begin, s.count);
      put(v_codes, s.begin, s.count);
      put(m_absmax, block, blocks);
      put(v_absmax, block, blocks);
      block += blocks;
    }
    return out;
  }
};

/// Adjoining segments, decaying alike or not, with state of 8 bits or without, of whole blocks or
/// not: all in one call have the bits of one call each.
TEST(Optimizer, AdjoiningSegmentsHaveTheBitsOfEachAlone) {
  std::vector<ParameterRange> segments;
  int64_t elements = 0;
  for (const int64_t count : {4096, 4352, 100, 80, 5000, 4100, 1, 8192, 4096}) {
    segments.push_back({elements, count, segments.size() < 7 ? 0.1f : 0.2f});
    elements += count;
  }
  const auto n = static_cast<size_t>(elements);
  const auto noise = [n](uint32_t seed) {
    TestVector<float> v(n);
    for (uint32_t i = 0; i < n; ++i) v[i] = std::abs(hash_noise(i, seed));
    return v;
  };
  const auto part = [](auto& v, int64_t first, int64_t count) {
    return test_view(v.data() + first, {count});
  };
  const auto run = [&](bool at_once) {
    TestVector<float> values = noise(1), gradients = noise(2), m = noise(3), v = noise(4),
                      momentum = noise(5), values8 = noise(6), values_sgd = noise(7);
    TestVector<uint8_t> m_codes(n, 200), v_codes(n, 100);
    const auto blocks = static_cast<size_t>(adamw8bit_blocks(segments));
    const auto small = static_cast<size_t>(adamw8bit_small(segments));
    TestVector<float> m_absmax(blocks, 0.5f), v_absmax(blocks, 0.25f), m_small(small, 0.5f),
        v_small(small, 0.25f);
    int64_t block = 0, plain = 0;
    for (size_t i = 0; i < (at_once ? 1 : segments.size()); ++i) {
      std::span<const ParameterRange> some = segments;
      if (!at_once) some = some.subspan(i, 1);
      const int64_t own_blocks = adamw8bit_blocks(some), own_small = adamw8bit_small(some);
      and_wait([&] {
        adamw({.values = part(values, 0, elements),
               .gradients = part(gradients, 0, elements),
               .m = part(m, 0, elements),
               .v = part(v, 0, elements),
               .segments = some,
               .learning_rate = kRate});
        sgd({.values = part(values_sgd, 0, elements),
             .gradients = part(gradients, 0, elements),
             .momentum = part(momentum, 0, elements),
             .segments = some,
             .learning_rate = kRate,
             .beta = 0.9,
             .step = 2});
        adamw8bit({.values = part(values8, 0, elements),
                   .gradients = part(gradients, 0, elements),
                   .m_codes = part(m_codes, 0, elements),
                   .v_codes = part(v_codes, 0, elements),
                   .m_absmax = part(m_absmax, block, own_blocks),
                   .v_absmax = part(v_absmax, block, own_blocks),
                   .m_small = part(m_small, plain, own_small),
                   .v_small = part(v_small, plain, own_small),
                   .segments = some,
                   .learning_rate = kRate});
      });
      block += own_blocks;
      plain += own_small;
    }
    return std::tuple(values, m, v, values_sgd, momentum, values8, m_codes, v_codes, m_absmax,
                      v_absmax, m_small, v_small);
  };
  EXPECT_TRUE(run(true) == run(false));
}

TEST(AdamW8bit, EqualsBitsandbytes) {
  constexpr int kSteps = 7;
  std::ifstream file(NIBBLE_TEST_DATA "/kernels/golden/adamw8bit.bin", std::ios::binary);
  const std::string want((std::istreambuf_iterator<char>(file)), {});
  on_every_target([&](const std::string& target) {
    if (target == "SCALAR") return;  // no fused multiply-add: other bits, see the next test
    State8bit state;
    state.run(kSteps);
    const std::string got = state.bytes();
    ASSERT_EQ(want.size(), got.size());
    size_t at = 0;
    for (const ParameterRange& s : state.segments) {
      for (int64_t i = 0; i < s.count; ++i, at += sizeof(float)) {
        float w, g;
        std::memcpy(&w, want.data() + at, sizeof w);
        std::memcpy(&g, got.data() + at, sizeof g);
        // torch's sqrt may be an ulp off: a few ulp of a step of at most 4 rates, then the last
        // place of the value.
        const double tolerance = kSteps * (0x1p-23 * std::abs(w) + 0x1p-21 * 4 * kRate);
        ASSERT_NEAR(w, g, tolerance) << "adamw8bit " << target << " values[" << s.begin + i;
      }
      const int64_t count = s.count, blocks = ceil_div<int64_t>(count, 256);
      const auto state_bytes =
          static_cast<size_t>(count < 4096 ? 2 * count * 4 : 2 * count + 2 * blocks * 4);
      EXPECT_TRUE(want.substr(at, state_bytes) == got.substr(at, state_bytes))
          << "adamw8bit " << target << " state of " << count << " elements";
      at += state_bytes;
    }
  });
}

TEST(AdamW8bit, FirstStepEqualsTheFormula) {
  // After one step m = (1-b1) g and v = (1-b2) g^2, so p moves by rate * g / (|g| + eps).
  on_every_target([](const std::string& target) {
    State8bit state;
    const TestVector<float> start = state.values;
    state.run(1);
    std::vector<Bounded> want;
    for (const ParameterRange& s : state.segments)
      for (int64_t i = s.begin; i < s.begin + s.count; ++i) {
        const Bounded g(state.gradients[static_cast<size_t>(i)]);
        const Bounded m = narrow(1 - kBeta1) * g, v = narrow(1 - kBeta2) * g * g;
        const Bounded root = sqrt(v) / narrow(std::sqrt(1 - kBeta2));
        const double decay = static_cast<double>(s.weight_decay);
        want.push_back(Bounded(start[static_cast<size_t>(i)]) * narrow(1 - kRate * decay) -
                       narrow(kRate / (1 - kBeta1)) * m / (root + narrow(kEpsilon)));
      }
    expect_close("adamw8bit " + target, "values",
                 std::vector<double>(state.values.begin(), state.values.end()), want, Dtype::kF32,
                 0);
    // A code stands for the value nearest to the middle of its cell of the grid.
    const auto& map = dynamic_map(DynamicMap::kSigned);
    for (int64_t i = 0; i < 4133; ++i) {
      const auto at = static_cast<size_t>(i);
      const float absmax = state.m_absmax[at / 256];
      const float v = 0.1f * state.gradients[at] / absmax;
      const size_t code = state.m_codes[at];
      const float kept = map[code];
      const float low = code > 0 ? (map[code - 1] + kept) / 2 : -1.0f;
      const float high = code < 255 ? (map[code + 1] + kept) / 2 : 1.0f;
      constexpr float kCell = 1.0f / 32767.5f;
      EXPECT_GE(v, low - kCell) << target << " element " << i;
      EXPECT_LE(v, high + kCell) << target << " element " << i;
    }
  });
}

TEST(Optimizer, BitsDoNotDependOnTheThreads) {
  SKIP_UNLESS_CPU();
  const int before = threads();
  on_every_target([](const std::string& target) {
    const auto run = [](int team) {
      set_threads(team);
      State8bit state;
      state.run(3);
      return state.bytes();
    };
    EXPECT_TRUE(run(1) == run(3)) << target;
  });
  set_threads(before);
}

TEST(L2Norm, IsTheSameOnEveryTargetAndTeam) {
  const int before = threads();
  for (const int64_t n : {1, 7, 8, 9, 4097, 1000003}) {
    TestVector<float> x(static_cast<size_t>(n));
    long double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = hash_noise(static_cast<uint32_t>(i), 5);
      sum += static_cast<long double>(x[i]) * x[i];
    }
    const auto want = static_cast<double>(std::sqrt(sum));
    double first = -1;
    on_every_target([&](const std::string& target) {
      for (const int team : {1, 2, 5}) {
        set_threads(team);
        const double got = l2_norm(test_view(x.data(), {n}));
        if (first < 0) first = got;
        EXPECT_EQ(first, got) << target << " threads " << team << " n " << n;
        EXPECT_NEAR(got, want, want * static_cast<double>(n) * 0x1p-53) << target << " n " << n;
      }
    });
  }
  set_threads(before);
  EXPECT_EQ(l2_norm(test_view(static_cast<float*>(nullptr), {0})), 0.0);
}

TEST(L2Norm, LeavesNormAndClipFactorWhereTheGradientsAre) {
  for (const int64_t n : {1, 9, 4097})
    for (const double limit : {0.0, 0.25, 1e6}) {
      OpCase op(cat("l2_norm (", n, ") limit ", limit), 81);
      Buffer& in = op.input("in", Dtype::kF32, {n});
      Buffer& norm = op.output("norm", Dtype::kF32, {1});
      Buffer& clip = op.output("clip", Dtype::kF32, {1});
      double squares = 0.0;
      for (const double x : in.values()) squares += x * x;
      const double root = std::sqrt(squares);
      const auto near = [](double x) { return Bounded(x, x * 1e-12); };  // of sums in double
      op.want(norm, {near(root)});
      op.want(clip, {near(limit > 0 ? std::min(1.0, limit / (root + 1e-6)) : 1.0)});
      op.check([&] {
        l2_norm({.in = in.tensor(), .norm = norm.tensor(), .clip = clip.tensor(), .limit = limit});
      });
    }
}

// What one call of the optimizer of that name leaves, with gradients that have norm 2 and a NaN or
// not, clipped or scaled by the host.
struct Updated {
  std::vector<double> values, m, v;
  bool operator==(const Updated&) const = default;
};
Updated updated(const std::string& name, bool on_device, double scale, bool broken) {
  constexpr int64_t kN = 300;
  OpCase op(cat(name, " clipped"), 82);
  Buffer& values = op.in_place("values", Dtype::kF32, {kN});
  Buffer& gradients = op.input("gradients", Dtype::kF32, {kN});
  Buffer& m = op.in_place("m", Dtype::kF32, {kN});
  Buffer& v = op.in_place("v", Dtype::kF32, {kN});
  Buffer& norm = op.output("norm", Dtype::kF32, {1});
  Buffer& clip = op.output("clip", Dtype::kF32, {1});
  v.fill_uniform(op.rng(), 0.0, 1.0);
  if (broken) gradients.set(7, std::numeric_limits<double>::quiet_NaN());
  const ParameterRange all{.begin = 0, .count = kN, .weight_decay = 0.1f};
  op.run([&] {
    const Tensor factor = on_device ? clip.tensor() : Tensor{};
    const float by = on_device ? 1.0f : static_cast<float>(scale);
    if (on_device)
      l2_norm({.in = gradients.tensor(), .norm = norm.tensor(), .clip = factor, .limit = 0.5});
    if (name == "adamw")
      adamw({.values = values.tensor(),
             .gradients = gradients.tensor(),
             .m = m.tensor(),
             .v = v.tensor(),
             .segments = {&all, 1},
             .learning_rate = 0.1,
             .gradient_scale = by,
             .clip = factor});
    else if (name == "adamw8bit")
      adamw8bit({.values = values.tensor(),
                 .gradients = gradients.tensor(),
                 .m_small = m.tensor(),
                 .v_small = v.tensor(),
                 .segments = {&all, 1},
                 .learning_rate = 0.1,
                 .gradient_scale = by,
                 .clip = factor});
    else
      sgd({.values = values.tensor(),
           .gradients = gradients.tensor(),
           .momentum = m.tensor(),
           .segments = {&all, 1},
           .learning_rate = 0.1,
           .beta = 0.9,
           .gradient_scale = by,
           .clip = factor,
           .step = 2});
  });
  return {values.values(), m.values(), v.values()};
}

TEST(Optimizer, ClipsByAFactorThatIsWhereTheGradientsAre) {
  OpCase op("norm", 82);
  op.in_place("values", Dtype::kF32, {300});
  const double norm = std::sqrt([&] {
    double squares = 0.0;
    for (const double x : op.input("gradients", Dtype::kF32, {300}).values()) squares += x * x;
    return squares;
  }());
  ASSERT_GT(norm, 0.5);
  for (const std::string name : {"adamw", "adamw8bit", "sgd"}) {
    const Updated by_host = updated(name, false, clip_factor(norm, 0.5), false);
    EXPECT_EQ(updated(name, true, 1.0, false), by_host) << name;
    EXPECT_NE(updated(name, false, 1.0, false), by_host) << name;
  }
}

TEST(Optimizer, ChangesNothingByGradientsThatAreNotFinite) {
  for (const std::string name : {"adamw", "adamw8bit", "sgd"}) {
    OpCase op("start", 82);
    const Buffer& values = op.in_place("values", Dtype::kF32, {300});
    op.input("gradients", Dtype::kF32, {300});
    const Buffer& m = op.in_place("m", Dtype::kF32, {300});
    Buffer& v = op.in_place("v", Dtype::kF32, {300});
    v.fill_uniform(op.rng(), 0.0, 1.0);
    EXPECT_EQ(updated(name, true, 1.0, true), (Updated{values.values(), m.values(), v.values()}))
        << name;
  }
}

TEST(Optimizer, RefusesStateThatDoesNotFit) {
  State8bit state;
  AdamW8bit op = state.op(1);
  op.m_absmax.shape[0] -= 1;
  EXPECT_THROW(adamw8bit(op), BugError);
  op = state.op(0);
  EXPECT_THROW(adamw8bit(op), BugError);
  std::vector<ParameterRange> beyond = {{.begin = 4, .count = State8bit::kElements}};
  op = state.op(1);
  op.segments = beyond;
  EXPECT_THROW(adamw8bit(op), BugError);
  const Tensor p = test_view(state.values.data(), {State8bit::kElements});
  EXPECT_THROW(sgd({.values = p, .gradients = p, .segments = state.segments, .beta = 0.9}),
               BugError);
}

}  // namespace
}  // namespace nibble
