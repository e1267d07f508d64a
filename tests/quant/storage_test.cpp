// SPDX-License-Identifier: Apache-2.0
// Quantised weights written and read back, and every way in which a file can lie about one.
#include "quant/storage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

constexpr int64_t kOut = 24, kIn = 40;  // 960 elements, 15 blocks of 64

/// Tensors by name, to be bent and written.
struct RawTensor {
  Dtype dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};
using RawFile = std::map<std::string, RawTensor>;

class QuantizedStorage : public FolderTest {
 protected:
  /// Writes a random weight quantised, as "w.weight".
  void write(const QuantizeOptions& options, int64_t out = kOut, int64_t in = kIn) {
    Rng rng(9);
    std::vector<float> x(static_cast<size_t>(out * in));
    for (float& v : x) v = static_cast<float>(rng.normal());
    weight_ = x;
    const Tensor weight = view(weight_.data(), {out, in});
    quantize("w.weight", weight, options, quantized_);
    auto infos = quantized_tensors("w.weight", out, in, Dtype::kF32, options);
    if (options.type == QuantType::kInt8) infos.push_back(weight_format_tensor("w.weight"));
    TensorWriter writer(folder(), infos);
    write_quantized(writer, "w.weight", quantized_);
    if (options.type == QuantType::kInt8) write_weight_format(writer);
    writer.finish();
  }

  RawFile read() const {
    RawFile raw;
    const TensorStore store(folder());
    for (const auto& [name, t] : store.tensors())
      raw[name] = {t.info.dtype, t.info.shape,
                   std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size())};
    return raw;
  }
  void rewrite(const RawFile& raw) const {
    std::vector<TensorInfo> infos;
    for (const auto& [name, t] : raw) infos.push_back(tensor_info(name, t.dtype, t.shape));
    TensorWriter writer(folder(), infos);
    for (const auto& [name, t] : raw) writer.write(t.bytes.data(), t.bytes.size());
    writer.finish();
  }

  std::vector<float> load(int64_t out = kOut, int64_t in = kIn) const {
    const TensorStore store(folder());
    QuantizedTables tables;
    EXPECT_TRUE(is_quantized(store, "w.weight"));
    return widened(load_quantized(store, "w.weight", out, in, tables));
  }
  static std::vector<float> widened(const QuantizedMatrix& m) {
    std::vector<float> rows(static_cast<size_t>(m.out_features * m.in_features));
    dequantize({.out = view(rows.data(), {m.out_features, m.in_features}), .matrix = m});
    return rows;
  }

  /// What loading says after `bend` has changed the file.
  template <class Bend>
  std::string refusal(const QuantizeOptions& options, const Bend& bend) {
    write(options);
    RawFile raw = read();
    bend(raw);
    rewrite(raw);
    return thrown([&] { load(); });
  }

  QuantizedTensor quantized_;
  std::vector<float> weight_;
};

const QuantizeOptions kSchemes[] = {
    {.type = QuantType::kNf4, .block = 64, .double_quant = true},
    {.type = QuantType::kFp4, .block = 32, .double_quant = true},
    {.type = QuantType::kNf4, .block = 128, .double_quant = false},
    {.type = QuantType::kFp4, .block = 4096, .double_quant = false},
    {.type = QuantType::kInt8},
};

TEST_F(QuantizedStorage, ReadsBackWhatItWrote) {
  for (const QuantizeOptions& options : kSchemes)
    for (const auto& [out, in] : {std::pair{kOut, kIn}, {3, 7}, {1, 1}, {5, 129}}) {
      write(options, out, in);
      EXPECT_EQ(load(out, in), widened(quantized_.matrix()))
          << quant_type_name(options.type) << " (" << out << "," << in << ")";
    }
}

TEST_F(QuantizedStorage, TablesNeedNotBeAligned) {
  for (const QuantizeOptions& options : kSchemes) {
    write(options);
    const std::vector<float> want = load();
    RawFile raw = read();
    raw["a"] = {Dtype::kU8, {3}, "abc"};  // first in the file: all behind it is shifted by 3
    rewrite(raw);
    EXPECT_EQ(load(), want) << quant_type_name(options.type);
  }
}

TEST_F(QuantizedStorage, CodesMayBeStoredAsAnotherType) {
  write(kSchemes[0]);
  const std::vector<float> want = load();
  RawFile raw = read();
  raw["w.weight"].dtype = Dtype::kBf16;
  raw["w.weight"].shape = {kOut * kIn / 4, 1};
  rewrite(raw);
  EXPECT_EQ(load(), want);
}

TEST_F(QuantizedStorage, AGroupIsAlignedAndKeepsWhatFollowsAligned) {
  for (const QuantizeOptions& options : kSchemes) {
    if (options.type == QuantType::kInt8) continue;
    size_t at = 0;
    for (const TensorInfo& info : quantized_tensors("w.weight", 64, 64, Dtype::kBf16, options)) {
      EXPECT_EQ(at % dtype_bytes(info.dtype), 0u) << info.name;
      at += info.bytes;
    }
    EXPECT_EQ(at % 8, 0u);
  }
}

const std::string kState = "w.weight.quant_state.bitsandbytes__nf4";

void replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from << " is not in " << text;
  text.replace(at, from.size(), to);
}

TEST_F(QuantizedStorage, RefusesAStateThatLies) {
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"\"nf4\"", "\"int3\"", "quant_type \"int3\""},
      {"\"blocksize\": 64", "\"blocksize\": 0", "blocksize 0"},
      {"\"blocksize\": 64", "\"blocksize\": 48", "blocksize 48"},
      {"\"blocksize\": 64", "\"blocksize\": 1000000000000", "blocksize 1000000000000"},
      {"\"blocksize\": 64", "\"blocksize\": -64", "blocksize -64"},
      {"\"blocksize\": 64", "\"blocksize\": 32", "30 values of U8"},
      {"\"blocksize\": 64", "\"blocksize\": \"64\"", "expected"},
      {"\"blocksize\": 64", "\"size\": 64", "blocksize"},
      {"[24, 40]", "[40, 24]", "shape"},
      {"[24, 40]", "[960]", "shape"},
      {"[24, 40]", "null", "expected"},
      {"\"nested_blocksize\": 256", "\"nested_blocksize\": 0", "nested_blocksize 0"},
      {"\"nested_blocksize\": 256", "\"nested_blocksize\": 8", "2 values of F32"},
      {"\"nested_offset\": ", "\"nested_offset\": 1e39, \"x\": ", "not finite"},
      {"\"nested_offset\"", "\"offset\"", "15 values of F32"},
      {"{", "[", "quant_state"},
  };
  for (const auto& c : cases) {
    const std::string text = refusal(kSchemes[0], [&](RawFile& raw) {
      RawTensor& state = raw[kState];
      replace(state.bytes, c.from, c.to);
      state.shape = {static_cast<int64_t>(state.bytes.size())};
    });
    EXPECT_TRUE(text.starts_with("65: ")) << c.to << ": " << text;
    EXPECT_NE(text.find(c.says), std::string::npos) << c.to << ": " << text;
    EXPECT_NE(text.find("w.weight"), std::string::npos) << text;
  }
}

TEST_F(QuantizedStorage, RefusesTablesThatDoNotFit) {
  const auto shorter = [](const std::string& name) {
    return [name](RawFile& raw) {
      RawTensor& t = raw.at(name);
      t.shape.back() == 1 ? t.shape.front() -= 1 : t.shape.back() -= 1;
      size_t bytes = dtype_bytes(t.dtype);
      for (const int64_t d : t.shape) bytes *= static_cast<size_t>(d);
      t.bytes.resize(bytes);
    };
  };
  const auto missing = [](const std::string& name) {
    return [name](RawFile& raw) { raw.erase(name); };
  };
  const auto retyped = [](const std::string& name, Dtype dtype) {
    return [name, dtype](RawFile& raw) { raw.at(name).dtype = dtype; };
  };
  const auto poked = [](const std::string& name, float value) {
    return [name, value](RawFile& raw) {
      std::memcpy(raw.at(name).bytes.data(), &value, sizeof value);
    };
  };
  for (const char* name : {".absmax", ".quant_map", ".nested_quant_map"})
    for (const auto& text : {refusal(kSchemes[0], shorter("w.weight" + std::string(name))),
                             refusal(kSchemes[0], missing("w.weight" + std::string(name)))}) {
      EXPECT_TRUE(text.starts_with("65: ")) << text;
      EXPECT_NE(text.find("w.weight" + std::string(name)), std::string::npos) << text;
    }
  EXPECT_TRUE(refusal(kSchemes[0], missing("w.weight.nested_absmax")).starts_with("65: "));
  const std::string codes = refusal(kSchemes[0], shorter("w.weight"));
  EXPECT_NE(codes.find("expected 480 bytes of 4-bit codes, found 479"), std::string::npos) << codes;
  EXPECT_TRUE(refusal(kSchemes[0], retyped("w.weight.absmax", Dtype::kI8)).starts_with("65: "));
  EXPECT_TRUE(refusal(kSchemes[2], retyped("w.weight.absmax", Dtype::kI32)).starts_with("65: "));
  for (const float bad : {NAN, INFINITY})
    for (const auto& text : {refusal(kSchemes[0], poked("w.weight.nested_absmax", bad)),
                             refusal(kSchemes[0], poked("w.weight.nested_quant_map", bad)),
                             refusal(kSchemes[2], poked("w.weight.absmax", bad)),
                             refusal(kSchemes[4], poked("w.SCB", bad))})
      EXPECT_NE(text.find("value 0 is not finite"), std::string::npos) << text;
  const std::string map = refusal(kSchemes[0], poked("w.weight.quant_map", -0.9f));
  EXPECT_NE(map.find("not the code book of nf4"), std::string::npos) << map;
}

TEST_F(QuantizedStorage, RefusesInt8ThatDoesNotFit) {
  const auto cut = [](const char* name) {
    return [name](RawFile& raw) {
      RawTensor& t = raw.at(name);
      t.shape.front() -= 1;
      t.bytes.resize(t.bytes.size() / static_cast<size_t>(kOut) * (kOut - 1));
    };
  };
  EXPECT_TRUE(refusal(kSchemes[4], cut("w.weight")).starts_with("65: "));
  EXPECT_TRUE(refusal(kSchemes[4], cut("w.SCB")).starts_with("65: "));
  EXPECT_TRUE(refusal(kSchemes[4], [](RawFile& raw) {
                raw.at("w.weight").dtype = Dtype::kU8;
              }).starts_with("65: "));
  const std::string format =
      refusal(kSchemes[4], [](RawFile& raw) { raw.at("w.weight_format").bytes[0] = 2; });
  EXPECT_TRUE(format.starts_with("69: ")) << format;
  EXPECT_NE(format.find("weight format 2"), std::string::npos) << format;
  EXPECT_EQ(refusal(kSchemes[4], [](RawFile& raw) { raw.erase("w.weight_format"); }),
            "nothing thrown");
}

TEST(QuantizationConfig, IsWrittenAsTransformersDoes) {
  const Json c = quantization_config({.type = QuantType::kFp4, .double_quant = false}, {"lm_head"});
  EXPECT_EQ(c, parse_json(R"({"_load_in_4bit": true, "_load_in_8bit": false,
      "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8",
      "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": false,
      "llm_int8_enable_fp32_cpu_offload": false, "llm_int8_has_fp16_weight": false,
      "llm_int8_skip_modules": ["lm_head"], "llm_int8_threshold": 6.0, "load_in_4bit": true,
      "load_in_8bit": false, "quant_method": "bitsandbytes"})",
                          "here"));
}

}  // namespace
}  // namespace nibble::test
