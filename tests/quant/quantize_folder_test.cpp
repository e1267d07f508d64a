// SPDX-License-Identifier: Apache-2.0
// A folder quantised: what is selected, what stays, how it is sharded, and what is refused.
#include "quant/quantize_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "base/threads.h"
#include "io/json.h"
#include "quant/storage.h"
#include "support/folder_test.h"

namespace nibble::test {
namespace {

class QuantizeFolderTest : public FolderTest {
 protected:
  /// Two linear layers, an embedding in bf16, a norm in f32, a table of integers.
  void write_source(float poison = 0.0f, float last_norm = 3.0f) {
    fs::create_directories(path("in"));
    fs::create_directories(path("out"));
    write_text_file(path("in/config.json"), R"({"model_type": "llama", "unknown": [1, 2.5]})");
    Rng rng(5);
    std::vector<bf16> linear(48 * 64), embedding(7 * 3);
    for (bf16& x : linear) x = to_bf16(static_cast<float>(rng.normal()));
    for (bf16& x : embedding) x = to_bf16(static_cast<float>(rng.normal()));
    if (poison != 0.0f) linear[70] = to_bf16(poison);
    const std::vector<float> norm = {1.0f, 2.0f, last_norm};
    const std::vector<int64_t> table = {4, 5};
    TensorWriter writer(path("in"), {tensor_info("embed.weight", Dtype::kBf16, {7, 3}),
                                     tensor_info("a.q_proj.weight", Dtype::kBf16, {48, 64}),
                                     tensor_info("b.q_proj.weight", Dtype::kBf16, {64, 48}),
                                     tensor_info("norm.weight", Dtype::kF32, {3}),
                                     tensor_info("table", Dtype::kI64, {2})});
    const auto put = [&](const auto& v) { writer.write(v.data(), v.size() * sizeof v[0]); };
    put(embedding);
    put(linear);
    put(linear);
    put(norm);
    put(table);
    writer.finish();
  }
  QuantizeFolder job(QuantType type = QuantType::kNf4) const {
    return {.source = path("in"),
            .folder = path("out"),
            .options = {.type = type},
            .skip = {"lm_head"},
            .selects = [](const std::string& name) { return name.ends_with("q_proj.weight"); }};
  }
};

std::string bytes_of(const TensorStore& store, const std::string& name) {
  const auto bytes = store.at(name).bytes;
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<float> floats_of(const TensorStore& store, const std::string& name) {
  const StoredTensor& t = store.at(name);
  std::vector<float> out(t.bytes.size() / dtype_bytes(t.info.dtype));
  for (size_t i = 0; i < out.size(); ++i) {
    if (t.info.dtype == Dtype::kF32)
      out[i] = reinterpret_cast<const float*>(t.bytes.data())[i];
    else if (t.info.dtype == Dtype::kF16)
      out[i] = to_float(reinterpret_cast<const f16*>(t.bytes.data())[i]);
    else
      out[i] = to_float(reinterpret_cast<const bf16*>(t.bytes.data())[i]);
  }
  return out;
}

TEST_F(QuantizeFolderTest, QuantisesWhatIsSelectedAndKeepsTheRest) {
  for (const QuantType type : {QuantType::kNf4, QuantType::kFp4, QuantType::kInt8}) {
    write_source();
    const QuantizeFolderReport report = quantize_folder(job(type));
    EXPECT_EQ(report.quantized, 2u);
    EXPECT_EQ(report.dense, 3u);
    const TensorStore in(path("in")), out(path("out"));
    for (const char* name : {"embed.weight", "norm.weight", "table"}) {
      EXPECT_EQ(bytes_of(in, name), bytes_of(out, name)) << name;
      EXPECT_EQ(out.at(name).offset % dtype_bytes(out.at(name).info.dtype), 0u) << name;
    }
    QuantizedTables tables;
    const QuantizedMatrix m = load_quantized(out, "a.q_proj.weight", 48, 64, tables);
    std::vector<float> rows(48 * 64);
    dequantize({.out = view(rows.data(), {48, 64}), .matrix = m});
    QuantizedTensor direct;
    const auto* weight = reinterpret_cast<const bf16*>(in.at("a.q_proj.weight").bytes.data());
    quantize("w", view(weight, {48, 64}), {.type = type}, direct);
    std::vector<float> want(48 * 64);
    dequantize({.out = view(want.data(), {48, 64}), .matrix = direct.matrix()});
    EXPECT_EQ(rows, want) << quant_type_name(type);
    const Json config = read_json_file(path("out/config.json"));
    EXPECT_EQ(config.at("unknown"), Json::array({1, 2.5}));
    EXPECT_EQ(config.at("quantization_config").at("load_in_8bit").as_bool(),
              type == QuantType::kInt8);
    fs::remove_all(path("out"));
  }
}

TEST_F(QuantizeFolderTest, WhatStaysDenseGetsTheModelsType) {
  for (const Dtype type : {Dtype::kBf16, Dtype::kF16, Dtype::kF32}) {
    write_source();
    write_text_file(path("in/config.json"), cat(R"({"dtype": ")", torch_name(type), R"("})"));
    quantize_folder(job());
    const TensorStore in(path("in")), out(path("out"));
    for (const char* name : {"embed.weight", "norm.weight"}) {
      EXPECT_EQ(out.at(name).info.dtype, type);
      EXPECT_EQ(floats_of(in, name), floats_of(out, name)) << name;  // all fit each type
    }
    EXPECT_EQ(bytes_of(in, "table"), bytes_of(out, "table"));
    fs::remove_all(path("out"));
  }
  write_source(0.0f, 1e6f);
  write_text_file(path("in/config.json"), R"({"torch_dtype": "float16"})");
  const std::string large = thrown([&] { quantize_folder(job()); });
  EXPECT_TRUE(large.starts_with("65: ")) << large;
  EXPECT_NE(large.find("\"norm.weight\": element 2 is 1e+06, more than"), std::string::npos)
      << large;
}

TEST_F(QuantizeFolderTest, AWeightAndItsTablesShareAShard) {
  write_source();
  QuantizeFolder sharded = job();
  sharded.max_shard_bytes = 2000;
  quantize_folder(sharded);
  const TensorStore out(path("out"));
  EXPECT_GT(out.files().size(), 1u);
  for (const char* weight : {"a.q_proj.weight", "b.q_proj.weight"})
    for (const char* table : {".absmax", ".quant_map", ".nested_absmax"})
      EXPECT_EQ(out.at(weight).file, out.at(weight + std::string(table)).file) << weight << table;
}

// Of more pieces than one, the last ones short, with blocks that end in the middle of a row.
TEST_F(QuantizeFolderTest, LargeTensorsAreTheSameInPieces) {
  constexpr int64_t kRows = 1537, kColumns = 717;
  constexpr size_t kElements = kRows * kColumns;
  const auto write = [&](size_t poisoned) {
    write_source();
    Rng rng(6);
    std::vector<float> weight(kElements), embedding(kElements);
    for (float& x : weight) x = static_cast<float>(rng.normal());
    for (float& x : embedding) x = static_cast<float>(rng.normal());
    if (poisoned < kElements) weight[poisoned] = INFINITY;
    TensorWriter writer(path("in"), {tensor_info("embed.weight", Dtype::kF32, {kRows, kColumns}),
                                     tensor_info("q_proj.weight", Dtype::kF32, {kRows, kColumns})});
    writer.write(embedding.data(), kElements * sizeof(float));
    writer.write(weight.data(), kElements * sizeof(float));
    writer.finish();
    write_text_file(path("in/config.json"), R"({"dtype": "bfloat16"})");
    return weight;
  };
  std::vector<float> weight = write(SIZE_MAX);
  for (const QuantType type : {QuantType::kNf4, QuantType::kInt8}) {
    QuantizedTensor direct;
    quantize("w", view(weight.data(), {kRows, kColumns}), {.type = type}, direct);
    for (const bool reported : {false, true}) {
      QuantizeFolder one = job(type);
      if (reported) one.report = [](const std::string&, const QuantizationError&) {};
      for (const int count : {1, 2, 3}) {
        set_threads(count);
        fs::create_directories(path("out"));
        quantize_folder(one);
        const TensorStore in(path("in")), out(path("out"));
        const std::string codes = bytes_of(out, "q_proj.weight");
        ASSERT_EQ(codes.size(), direct.codes.size());
        EXPECT_EQ(std::memcmp(codes.data(), direct.codes.data(), codes.size()), 0);
        if (type == QuantType::kInt8) {
          EXPECT_EQ(floats_of(out, "q_proj.SCB"), direct.row_scale);
        } else {
          EXPECT_EQ(floats_of(out, "q_proj.weight.nested_absmax"), direct.nested_absmax);
          const std::string absmax = bytes_of(out, "q_proj.weight.absmax");
          ASSERT_EQ(absmax.size(), direct.absmax_codes.size());
          EXPECT_EQ(std::memcmp(absmax.data(), direct.absmax_codes.data(), absmax.size()), 0);
        }
        std::vector<float> rounded = floats_of(in, "embed.weight");
        for (float& x : rounded) x = to_float(to_bf16(x));
        EXPECT_EQ(floats_of(out, "embed.weight"), rounded);
        fs::remove_all(path("out"));
      }
    }
  }
  write(kElements - 2);
  fs::create_directories(path("out"));
  const std::string infinite = thrown([&] { quantize_folder(job()); });
  EXPECT_NE(infinite.find("element (1536,715) is infinite"), std::string::npos) << infinite;
  set_threads(0);
}

TEST_F(QuantizeFolderTest, ReportsEachWeight) {
  write_source();
  QuantizeFolder reported = job();
  std::map<std::string, QuantizationError> errors;
  reported.report = [&](const std::string& name, const QuantizationError& e) { errors[name] = e; };
  quantize_folder(reported);
  ASSERT_EQ(errors.size(), 2u);
  const QuantizationError& e = errors.at("a.q_proj.weight");
  EXPECT_GT(e.snr_db, 15.0);  // NF4 of normal numbers: about 20 dB
  EXPECT_LT(e.snr_db, 25.0);
  EXPECT_GT(e.max, e.rms);
}

TEST_F(QuantizeFolderTest, RefusesByName) {
  write_source(NAN);
  const std::string nan = thrown([&] { quantize_folder(job()); });
  EXPECT_TRUE(nan.starts_with("65: ")) << nan;
  EXPECT_NE(nan.find("\"a.q_proj.weight\": element (1,6) is NaN"), std::string::npos) << nan;

  write_source();
  QuantizeFolder other = job();
  other.selects = [](const std::string& name) { return name == "table"; };
  const std::string table = thrown([&] { quantize_folder(other); });
  EXPECT_NE(table.find("tensor \"table\": no matrix of F32, F16 or BF16"), std::string::npos)
      << table;
  other.selects = [](const std::string&) { return false; };
  EXPECT_NE(thrown([&] { quantize_folder(other); }).find("no linear layer"), std::string::npos);
  other.options.block = 100;
  EXPECT_TRUE(thrown([&] { quantize_folder(other); }).starts_with("64: "));

  quantize_folder(job());
  QuantizeFolder again = job();
  again.source = path("out");
  again.folder = path("again");
  const std::string twice = thrown([&] { quantize_folder(again); });
  EXPECT_TRUE(twice.starts_with("65: ")) << twice;
  EXPECT_NE(twice.find("is quantised already"), std::string::npos) << twice;
}

TEST(SkippedModules, FollowTransformers) {
  const std::vector<std::string> skip = {"lm_head", "layers.1", "model.layers.3"};
  EXPECT_TRUE(is_skipped("lm_head", skip));
  EXPECT_FALSE(is_skipped("lm_head_2", skip));
  EXPECT_TRUE(is_skipped("model.layers.3.mlp.up_proj", skip));
  EXPECT_FALSE(is_skipped("model.layers.31.mlp.up_proj", skip));
  EXPECT_TRUE(is_skipped("a.layers.1", skip));
  EXPECT_FALSE(is_skipped("model.layers.1.mlp.up_proj", skip));
  EXPECT_FALSE(is_skipped("model.layers.3", {}));
}

}  // namespace
}  // namespace nibble::test
