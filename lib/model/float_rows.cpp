// SPDX-License-Identifier: Apache-2.0
#include "model/float_rows.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/profile.h"
#include "base/threads.h"

namespace nibble {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 20;
constexpr int64_t kGrainElements = int64_t{1} << 16;  // worth waking a thread for

// Magnitudes from here on round to infinity. The block types keep scales and minima in f16.
float limit_of(GgmlType type) {
  if (type == GgmlType::kF32) return INFINITY;
  return type == GgmlType::kBf16 ? 0x1.ffp127f : 65520.0f;
}

[[noreturn]] void throw_bad_value(const FloatRows& from, int64_t row, const float* values,
                                  GgmlType to, float limit) {
  int64_t column = 0;
  while (std::fabs(values[column]) < limit) ++column;
  const float bad = values[column];
  const std::string place = cat(from.name, ": row ", row, ", column ", column, " is ");
  if (std::isnan(bad)) throw DataError(cat(place, "NaN; the weights are damaged"));
  if (std::isinf(bad)) throw DataError(cat(place, "infinite; the weights are damaged"));
  throw DataError(
      cat(place, bad, ", more than ", ggml_type_info(to).name, " holds; choose bf16 or f32"));
}

}  // namespace

void copy_rows(const FloatRows& from, GgmlType to, const ByteSink& sink) {
  const GgmlTypeInfo& info = ggml_type_info(to);
  CHECK(ggml_encodes(to) && from.row_elements % info.block == 0);
  const float limit = limit_of(to);
  const size_t row_bytes = static_cast<size_t>(from.row_elements / info.block) * info.bytes;
  const int64_t width = std::max<int64_t>(1, from.row_elements);
  const int64_t chunk = std::max<int64_t>(1, kChunkElements / width);
  const int64_t grain = std::max<int64_t>(1, kGrainElements / width);
  std::vector<std::byte> out(static_cast<size_t>(std::min(chunk, from.rows)) * row_bytes);
  for (int64_t begin = 0; begin < from.rows; begin += chunk) {
    const int64_t count = std::min(chunk, from.rows - begin);
    std::optional<Span> span("convert");
    span->add(0.0, static_cast<double>(count) * static_cast<double>(from.row_bytes + row_bytes));
    parallel_for(count, grain, [&](int64_t first, int64_t last) {
      std::vector<float> row(static_cast<size_t>(from.row_elements));
      for (int64_t i = first; i < last; ++i) {
        from.read(begin + i, row.data());
        bool fits = true;
        for (const float x : row) fits &= std::fabs(x) < limit;
        if (!fits) throw_bad_value(from, begin + i, row.data(), to, limit);
        encode_blocks(to, row.data(), out.data() + static_cast<size_t>(i) * row_bytes,
                      from.row_elements);
      }
    });
    span.reset();
    sink(out.data(), static_cast<size_t>(count) * row_bytes);
    if (from.release) from.release();  // what was read so far: a tensor may be larger than memory
  }
}

GgmlType ggml_type_of(Dtype dtype) {
  CHECK(dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16);
  if (dtype == Dtype::kF32) return GgmlType::kF32;
  return dtype == Dtype::kF16 ? GgmlType::kF16 : GgmlType::kBf16;
}

FloatRows stored_rows(std::string name, GgmlType type, const std::byte* data, int64_t rows,
                      int64_t row_elements) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  CHECK(row_elements % info.block == 0);
  const size_t row_bytes = static_cast<size_t>(row_elements / info.block) * info.bytes;
  return {.name = std::move(name),
          .rows = rows,
          .row_elements = row_elements,
          .row_bytes = row_bytes,
          .read = [=](int64_t row, float* out) {
            decode_blocks(type, data + static_cast<size_t>(row) * row_bytes, out, row_elements);
          }};
}

FloatRows mapped_rows(std::string name, GgmlType type, const MappedFile& file,
                      std::span<const std::byte> bytes, int64_t rows, int64_t row_elements) {
  FloatRows out = stored_rows(std::move(name), type, bytes.data(), rows, row_elements);
  const auto offset = static_cast<size_t>(bytes.data() - file.bytes().data());
  out.release = [&file, offset, size = bytes.size()] { file.forget(offset, size); };
  return out;
}

FloatRows reordered_rows(FloatRows from, std::function<int64_t(int64_t)> order) {
  from.read = [inner = std::move(from.read), order = std::move(order)](int64_t row, float* out) {
    inner(order(row), out);
  };
  return from;
}

FloatRows single_elements(FloatRows from) {
  CHECK(from.rows == 1);
  std::vector<float> values(static_cast<size_t>(from.row_elements));
  from.read(0, values.data());
  return {.name = std::move(from.name),
          .rows = from.row_elements,
          .row_elements = 1,
          .row_bytes = sizeof(float),
          .read = [values = std::move(values)](int64_t row, float* out) {
            *out = values[static_cast<size_t>(row)];
          }};
}

std::string describe_shape(std::span<const int64_t> shape) {
  std::string out;
  for (const int64_t d : shape) out += cat(out.empty() ? "" : " x ", d);
  return out.empty() ? "a scalar" : out;
}

}  // namespace nibble
