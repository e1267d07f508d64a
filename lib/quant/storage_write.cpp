// SPDX-License-Identifier: Apache-2.0
#include "base/checked.h"
#include "kernels/code_books.h"
#include "quant/storage.h"

namespace nibble {
namespace {

constexpr int64_t kNestedBlock = 256;

/// What bitsandbytes packs beside the tensors.
std::string quant_state(int64_t out, int64_t in, Dtype dtype, const QuantizeOptions& options,
                        float nested_offset) {
  Json state = Json::object({{"quant_type", quant_type_name(options.type)},
                             {"blocksize", options.block},
                             {"dtype", torch_name(dtype)},
                             {"shape", Json::array({out, in})}});
  if (options.double_quant) {
    state.set("nested_blocksize", kNestedBlock);
    state.set("nested_dtype", "float32");
    state.set("nested_offset", nested_offset);
  }
  return state.dump();
}

/// Room for the state whatever the offset, which is not known when sizes are declared: JSON may end
/// in spaces. Together with `before` bytes a multiple of 8.
int64_t quant_state_bytes(int64_t out, int64_t in, Dtype dtype, const QuantizeOptions& options,
                          int64_t before) {
  constexpr int64_t kLongestOffset = 24;  // -1.2345678901234567e-308
  auto bytes = static_cast<int64_t>(quant_state(out, in, dtype, options, 0.0f).size());
  if (options.double_quant) bytes += kLongestOffset;
  return round_up<int64_t>(before + bytes, 8) - before;
}

std::string stem(const std::string& weight) {
  constexpr std::string_view kWeight = ".weight";
  CHECK(weight.ends_with(kWeight));
  return weight.substr(0, weight.size() - kWeight.size());
}

template <class T>
void write_all(TensorWriter& writer, const std::vector<T>& values) {
  writer.write(values.data(), values.size() * sizeof(T));
}

}  // namespace

std::vector<TensorInfo> quantized_tensors(const std::string& weight, int64_t out, int64_t in,
                                          Dtype dtype, const QuantizeOptions& options) {
  const int64_t elements = out * in;
  if (options.type == QuantType::kInt8)
    return {tensor_info(weight, Dtype::kI8, {out, in}),
            tensor_info(stem(weight) + ".SCB", Dtype::kF32, {out})};
  const int64_t blocks = ceil_div(elements, options.block);
  std::vector<TensorInfo> infos = {
      tensor_info(weight, Dtype::kU8, {ceil_div<int64_t>(elements, 2), 1})};
  const auto add = [&](const char* name, Dtype type, int64_t count) {
    infos.push_back(tensor_info(weight + name, type, {count}));
  };
  if (options.double_quant) {
    add(".nested_absmax", Dtype::kF32, ceil_div(blocks, kNestedBlock));
    add(".nested_quant_map", Dtype::kF32, 256);
    add(".quant_map", Dtype::kF32, 16);
    add(".absmax", Dtype::kU8, blocks);
  } else {
    add(".absmax", Dtype::kF32, blocks);
    add(".quant_map", Dtype::kF32, 16);
  }
  size_t before = 0;
  for (const TensorInfo& info : infos) before += info.bytes;
  const std::string state = ".quant_state.bitsandbytes__" + quant_type_name(options.type);
  add(state.c_str(), Dtype::kU8,
      quant_state_bytes(out, in, dtype, options, static_cast<int64_t>(before)));
  return infos;
}

void write_quantized(TensorWriter& writer, const std::string& weight, const QuantizedTensor& t) {
  CHECK(writer.current() != nullptr && writer.current()->name == weight);
  write_all(writer, t.codes);
  write_quantized_scales(writer, t);
}

void write_quantized_scales(TensorWriter& writer, const QuantizedTensor& t) {
  if (t.options.type == QuantType::kInt8) return write_all(writer, t.row_scale);
  const auto book = code_book(t.options.type);
  if (t.options.double_quant) {
    const auto& map = dynamic_map(DynamicMap::kSigned);
    write_all(writer, t.nested_absmax);
    writer.write(map.data(), sizeof map);
    writer.write(book.data(), book.size_bytes());
    write_all(writer, t.absmax_codes);
  } else {
    write_all(writer, t.absmax);
    writer.write(book.data(), book.size_bytes());
  }
  std::string state =
      quant_state(t.out_features, t.in_features, t.dtype, t.options, t.nested_offset);
  CHECK(writer.current() != nullptr && state.size() <= writer.current()->bytes);
  state.resize(writer.current()->bytes, ' ');
  writer.write(state.data(), state.size());
}

TensorInfo weight_format_tensor(const std::string& weight) {
  return tensor_info(stem(weight) + ".weight_format", Dtype::kU8, {});
}

void write_weight_format(TensorWriter& writer) {
  constexpr uint8_t kRowMajor = 0;
  writer.write(&kRowMajor, sizeof kRowMajor);
}

Json quantization_config(const QuantizeOptions& options, const std::vector<std::string>& skip) {
  const bool int8 = options.type == QuantType::kInt8;
  return Json::object({{"_load_in_4bit", !int8},
                       {"_load_in_8bit", int8},
                       {"bnb_4bit_compute_dtype", "bfloat16"},
                       {"bnb_4bit_quant_storage", "uint8"},
                       {"bnb_4bit_quant_type", int8 ? "fp4" : quant_type_name(options.type)},
                       {"bnb_4bit_use_double_quant", !int8 && options.double_quant},
                       {"llm_int8_enable_fp32_cpu_offload", false},
                       {"llm_int8_has_fp16_weight", false},
                       {"llm_int8_skip_modules", Json::Array(skip.begin(), skip.end())},
                       {"llm_int8_threshold", 6.0},
                       {"load_in_4bit", !int8},
                       {"load_in_8bit", int8},
                       {"quant_method", "bitsandbytes"}});
}

}  // namespace nibble
