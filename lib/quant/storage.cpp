// SPDX-License-Identifier: Apache-2.0
#include "quant/storage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/quote.h"
#include "io/json.h"
#include "kernels/code_books.h"

namespace nibble {
namespace {

constexpr std::string_view kState = ".quant_state.bitsandbytes__";

[[noreturn]] void bad(const TensorStore& store, const std::string& name, const std::string& fault) {
  throw DataError(cat(store.path().string(), ": tensor ", quote(name), ": ", fault,
                      "; quantise the model again"));
}

const StoredTensor& expect(const TensorStore& store, const std::string& name, Dtype dtype,
                           int64_t elements) {
  const StoredTensor& t = store.at(name);
  if (t.info.dtype != dtype || t.info.bytes != static_cast<size_t>(elements) * dtype_bytes(dtype))
    bad(store, name,
        cat("expected ", elements, " values of ", dtype_name(dtype), ", found ", t.info.bytes,
            " bytes of ", dtype_name(t.info.dtype)));
  return t;
}

// Packed codes, in bytes or in what bnb_4bit_quant_storage says.
const StoredTensor& expect_codes(const TensorStore& store, const std::string& name,
                                 int64_t elements) {
  const StoredTensor& t = store.at(name);
  const auto want = static_cast<size_t>(ceil_div<int64_t>(elements, 2));
  if (t.info.bytes != want)
    bad(store, name,
        cat("expected ", want, " bytes of 4-bit codes, found ", t.info.bytes, " of ",
            dtype_name(t.info.dtype)));
  return t;
}

// Finite floats.
const float* scales(const TensorStore& store, const std::string& name, int64_t elements,
                    QuantizedTables& tables) {
  const float* values = tables.floats(expect(store, name, Dtype::kF32, elements));
  const float* end = values + elements;
  if (const float* odd = std::find_if(values, end, [](float x) { return !std::isfinite(x); });
      odd != end)
    bad(store, name, cat("value ", odd - values, " is not finite"));
  return values;
}

const uint8_t* bytes_of(const StoredTensor& t) {
  return reinterpret_cast<const uint8_t*>(t.bytes.data());
}

std::string state_name(const TensorStore& store, const std::string& weight) {
  for (const char* type : {"nf4", "fp4"})
    if (std::string name = cat(weight, kState, type); store.find(name)) return name;
  return {};
}

bool power_of_two_within(int64_t n, int64_t low, int64_t high) {
  return n >= low && n <= high && std::has_single_bit(static_cast<uint64_t>(n));
}

// The JSON of quant_state into `m`; whether the absmax is nested.
bool read_state(const StoredTensor& state, QuantizedMatrix& m) {
  const std::string_view text(reinterpret_cast<const char*>(state.bytes.data()),
                              state.bytes.size());
  const Json json = parse_json(text, "quant_state");
  const std::string& type = json.at("quant_type").as_string();
  if (type != "nf4" && type != "fp4") throw DataError(cat("quant_type ", quote(type)));
  m.type = type == "nf4" ? QuantType::kNf4 : QuantType::kFp4;
  m.block = json.at("blocksize").as_integer();
  if (!power_of_two_within(m.block, 32, 4096)) throw DataError(cat("blocksize ", m.block));
  const Json::Array& shape = json.at("shape").as_array();
  if (shape.size() != 2 || shape[0].as_integer() != m.out_features ||
      shape[1].as_integer() != m.in_features)
    throw DataError(cat("its shape is not (", m.out_features, ",", m.in_features, ")"));
  const Json* offset = json.find("nested_offset");
  if (!offset || offset->is_null()) return false;
  m.nested_block = json.at("nested_blocksize").as_integer();
  if (!power_of_two_within(m.nested_block, 1, 4096))
    throw DataError(cat("nested_blocksize ", m.nested_block));
  m.nested_offset = static_cast<float>(offset->as_number());
  if (!std::isfinite(m.nested_offset)) throw DataError("nested_offset is not finite");
  return true;
}

QuantizedMatrix load_4bit(const TensorStore& store, const std::string& weight,
                          const std::string& state, int64_t out, int64_t in,
                          QuantizedTables& tables) {
  QuantizedMatrix m{.out_features = out, .in_features = in};
  bool nested = false;
  try {
    nested = read_state(store.at(state), m);
  } catch (const DataError& error) {
    bad(store, state, error.what());
  }
  const int64_t elements = out * in, blocks = ceil_div(elements, m.block);
  m.codes = bytes_of(expect_codes(store, weight, elements));
  const std::span<const float, 16> book = code_book(m.type);
  m.code_book = book.data();
  const float* stored = scales(store, weight + ".quant_map", 16, tables);
  if (!std::equal(book.begin(), book.end(), stored))
    bad(store, weight + ".quant_map", cat("not the code book of ", quant_type_name(m.type)));
  if (!nested) {
    m.absmax = scales(store, weight + ".absmax", blocks, tables);
    return m;
  }
  m.absmax_codes = bytes_of(expect(store, weight + ".absmax", Dtype::kU8, blocks));
  m.nested_map = scales(store, weight + ".nested_quant_map", 256, tables);
  m.nested_absmax =
      scales(store, weight + ".nested_absmax", ceil_div(blocks, m.nested_block), tables);
  return m;
}

// "x.SCB" or "x.weight_format" of "x.weight".
std::string sibling(const std::string& weight, std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  const size_t cut = weight.ends_with(kWeight) ? kWeight.size() : 0;
  return cat(weight.substr(0, weight.size() - cut), name);
}

void check_weight_format(const TensorStore& store, const std::string& weight) {
  const std::string name = sibling(weight, ".weight_format");
  const StoredTensor* format = store.find(name);
  if (!format) return;
  if (format->info.dtype != Dtype::kU8 || format->bytes.size() != 1)
    bad(store, name, "no single byte");
  if (const int code = *bytes_of(*format); code != 0)
    throw UnavailableError(cat(store.path().string(), ": tensor ", quote(name), ": weight format ",
                               code,
                               " (a GPU's tile order) is not supported; save the model "
                               "again with a current bitsandbytes"));
}

}  // namespace

const float* QuantizedTables::floats(const StoredTensor& tensor) {
  const std::byte* data = tensor.bytes.data();
  if (reinterpret_cast<uintptr_t>(data) % alignof(float) == 0)
    return reinterpret_cast<const float*>(data);
  std::vector<float>& copy = copies_.emplace_back(tensor.bytes.size() / sizeof(float));
  std::memcpy(copy.data(), data, copy.size() * sizeof(float));
  return copy.data();
}

bool is_quantized(const TensorStore& store, const std::string& weight) {
  return !state_name(store, weight).empty() || store.find(sibling(weight, ".SCB")) != nullptr;
}

QuantizedMatrix load_quantized(const TensorStore& store, const std::string& weight, int64_t out,
                               int64_t in, QuantizedTables& tables) {
  CHECK(out > 0 && in > 0 && checked_mul(out, in).has_value());
  if (const std::string state = state_name(store, weight); !state.empty())
    return load_4bit(store, weight, state, out, in, tables);
  QuantizedMatrix m{.type = QuantType::kInt8, .out_features = out, .in_features = in};
  m.codes = bytes_of(expect(store, weight, Dtype::kI8, out * in));
  m.row_scale = scales(store, sibling(weight, ".SCB"), out, tables);
  check_weight_format(store, weight);
  return m;
}

bool is_quantization_companion(const std::string& name) {
  for (const std::string_view end :
       {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".SCB", ".weight_format"})
    if (name.ends_with(end)) return true;
  return name.find(kState) != std::string::npos;
}

}  // namespace nibble
