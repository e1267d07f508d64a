// SPDX-License-Identifier: Apache-2.0
// Quantisation against bitsandbytes, byte for byte (golden/make_golden.py), on every instruction
// set and any number of threads.
#include "quant/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/threads.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "kernels/code_books.h"
#include "quant/torch_mean.h"
#include "support/hash_noise.h"
#include "support/simd_targets.h"

namespace nibble {
namespace {

const TensorStore& golden() {
  static const TensorStore store(NIBBLE_TEST_DATA "/quant/golden/golden.safetensors");
  return store;
}

/// A float weight and what it is stored in.
struct Weight {
  std::vector<float> f32;
  std::vector<bf16> narrow_bf16;
  std::vector<f16> narrow_f16;
  Tensor tensor;

  Weight(std::vector<float> values, int64_t rows, int64_t columns, Dtype dtype)
      : f32(std::move(values)) {
    for (const float x : f32) {
      narrow_bf16.push_back(to_bf16(x));
      narrow_f16.push_back(to_f16(x));
    }
    tensor = dtype == Dtype::kF32    ? view(f32.data(), {rows, columns})
             : dtype == Dtype::kBf16 ? view(narrow_bf16.data(), {rows, columns})
                                     : view(narrow_f16.data(), {rows, columns});
  }
};

struct Case {
  QuantizeOptions options;
  int64_t rows, columns;
  Dtype dtype;
};

std::vector<Case> golden_cases() {
  std::vector<Case> cases;
  const Json table = parse_json(golden().metadata().at("cases"), "golden");
  for (const Json& c : table.as_array()) {
    const Json::Array& v = c.as_array();
    const std::string& type = v[0].as_string();
    cases.push_back({.options = {.type = type == "nf4"   ? QuantType::kNf4
                                         : type == "fp4" ? QuantType::kFp4
                                                         : QuantType::kInt8,
                                 .block = v[4].as_integer(),
                                 .double_quant = v[5].as_bool()},
                     .rows = v[1].as_integer(),
                     .columns = v[2].as_integer(),
                     .dtype = *dtype_from_torch_name(v[3].as_string())});
  }
  return cases;
}

/// The weight of make_golden.py.
Weight golden_weight(const Case& c, size_t index) {
  std::vector<float> x;
  for (uint32_t i = 0; i < c.rows * c.columns; ++i) {
    const float v = hash_noise(i, static_cast<uint32_t>(1000 + index));
    const float other = hash_noise(i, static_cast<uint32_t>(2000 + index));
    const float x_i = c.options.type == QuantType::kInt8 ? v + other : v * v * v;
    x.push_back(i / 64 % 5 == 2 ? 0.0f : x_i);
  }
  return Weight(std::move(x), c.rows, c.columns, c.dtype);
}

template <class T>
void expect_bytes(const std::string& name, const std::vector<T>& got, const std::string& label) {
  const StoredTensor& want = golden().at(name);
  ASSERT_EQ(want.bytes.size(), got.size() * sizeof(T)) << label << " " << name;
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(0, std::memcmp(want.bytes.data() + i * sizeof(T), &got[i], sizeof(T)))
        << label << " " << name << "[" << i << "]: got " << +got[i];
}

TEST(CodeBooks, EqualBitsandbytes) {
  const auto expect = [](const char* name, std::span<const float> got) {
    expect_bytes(name, std::vector<float>(got.begin(), got.end()), "code book");
  };
  expect("nf4", code_book(QuantType::kNf4));
  expect("fp4", code_book(QuantType::kFp4));
  expect("dynamic", dynamic_map(DynamicMap::kSigned));
  expect("udynamic", dynamic_map(DynamicMap::kUnsigned));
}

TEST(TorchMean, EqualsTorch) {
  const StoredTensor& lengths = golden().at("mean_lengths");
  std::vector<int64_t> n(lengths.bytes.size() / sizeof(int64_t));
  std::memcpy(n.data(), lengths.bytes.data(), lengths.bytes.size());
  std::vector<float> means;
  for (const int64_t length : n) {
    std::vector<float> x;
    for (uint32_t i = 0; i < length; ++i) x.push_back(hash_noise(i, static_cast<uint32_t>(length)));
    means.push_back(torch_mean(x));
  }
  expect_bytes("means", means, "torch_mean");
}

TEST(Quantize, EqualsBitsandbytes) {
  const int before = threads();
  on_every_target([](const std::string& target) {
    const std::vector<Case> cases = golden_cases();
    for (size_t k = 0; k < cases.size(); ++k)
      for (const int team : {1, 3}) {
        set_threads(team);
        const Case& c = cases[k];
        const Weight w = golden_weight(c, k);
        QuantizedTensor q;
        quantize("w", w.tensor, c.options, q);
        const std::string label = cat("quantize ", quant_type_name(c.options.type), " ", target);
        expect_bytes(cat(k, ".codes"), q.codes, label);
        if (c.options.type == QuantType::kInt8) {
          expect_bytes(cat(k, ".row_scale"), q.row_scale, label);
        } else if (c.options.double_quant) {
          expect_bytes(cat(k, ".absmax"), q.absmax_codes, label);
          expect_bytes(cat(k, ".nested_absmax"), q.nested_absmax, label);
          expect_bytes(cat(k, ".nested_offset"), std::vector<float>{q.nested_offset}, label);
        } else {
          expect_bytes(cat(k, ".absmax"), q.absmax, label);
        }
      }
  });
  set_threads(before);
}

TEST(Quantize, CodesAreTheNearestValues) {
  // Independent of bitsandbytes: no other entry of the code book is nearer, up to the rounding of
  // the quotient and of the midpoint.
  const Weight w =
      golden_weight({.options = {}, .rows = 50, .columns = 64, .dtype = Dtype::kF32}, 0);
  for (const QuantType type : {QuantType::kNf4, QuantType::kFp4}) {
    QuantizedTensor q;
    quantize("w", w.tensor, {.type = type, .block = 64, .double_quant = false}, q);
    const auto book = code_book(type);
    for (size_t i = 0; i < w.f32.size(); ++i) {
      const double absmax = q.absmax[i / 64];
      if (absmax == 0) continue;
      const double x = w.f32[i] / absmax;
      const auto code = static_cast<size_t>(i % 2 ? q.codes[i / 2] % 16 : q.codes[i / 2] / 16);
      for (const float other : book)
        ASSERT_LE(std::abs(x - book[code]), std::abs(x - other) + 4 * 0x1p-24) << "element " << i;
    }
  }
}

TEST(Quantize, ErrorIsMeasured) {
  const Weight w({1.0f, -0.5f, 0.25f, 0.0f}, 2, 2, Dtype::kF32);
  QuantizedTensor q;
  quantize("w", w.tensor, {.type = QuantType::kNf4, .block = 32, .double_quant = false}, q);
  const float half = -0.5250730514526367f, quarter = 0.24611230194568634f;
  const QuantizationError e = quantization_error(w.tensor, q.matrix());
  const double a = -0.5 - double{half}, b = 0.25 - double{quarter};
  EXPECT_DOUBLE_EQ(e.max, std::abs(a));
  EXPECT_DOUBLE_EQ(e.rms, std::sqrt((a * a + b * b) / 4));
  EXPECT_DOUBLE_EQ(e.snr_db, 10 * std::log10((1 + 0.25 + 0.0625) / (a * a + b * b)));
  const Weight zeros({0.0f, 0.0f}, 1, 2, Dtype::kBf16);
  quantize("w", zeros.tensor, {.type = QuantType::kInt8}, q);
  EXPECT_EQ(quantization_error(zeros.tensor, q.matrix()).max, 0.0);
}

std::string refusal(const Weight& w, QuantizeOptions options) {
  QuantizedTensor q;
  try {
    quantize("model.w", w.tensor, options, q);
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Quantize, RefusesWhatIsNoNumber) {
  std::vector<float> x(3 * 100, 0.5f);
  x[205] = std::numeric_limits<float>::quiet_NaN();
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16, Dtype::kF16})
    for (const QuantType type : {QuantType::kNf4, QuantType::kFp4, QuantType::kInt8}) {
      const std::string text = refusal(Weight(x, 3, 100, dtype), {.type = type});
      EXPECT_NE(text.find("\"model.w\": element (2,5) is NaN"), std::string::npos) << text;
    }
  x[205] = -std::numeric_limits<float>::infinity();
  EXPECT_NE(refusal(Weight(x, 3, 100, Dtype::kF32), {}).find("is infinite"), std::string::npos);
  x[205] = 70000.0f;
  EXPECT_EQ(refusal(Weight(x, 3, 100, Dtype::kF32), {}), "accepted");
  const std::string text = refusal(Weight(x, 3, 100, Dtype::kF32), {.type = QuantType::kInt8});
  EXPECT_NE(text.find("beyond the range of f16"), std::string::npos) << text;
}

TEST(Quantize, RefusesBlocksThatAreNone) {
  const Weight w({1.0f}, 1, 1, Dtype::kF32);
  QuantizedTensor q;
  for (const int64_t block : {0, 16, 48, 8192, -64})
    EXPECT_THROW(quantize("w", w.tensor, {.block = block}, q), UsageError) << block;
}

}  // namespace
}  // namespace nibble
