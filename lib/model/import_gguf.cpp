// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/profile.h"
#include "base/quote.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/gguf_vocab.h"
#include "model/import_sources.h"
#include "model/tokenizer_files.h"

namespace nibble {
namespace {

// What a stored type becomes: floats as they are, quantised ones bf16, unless something is asked.
Dtype target_dtype(GgmlType type, const ImportOptions& options) {
  if (options.dtype) return *options.dtype;
  if (type == GgmlType::kF32) return Dtype::kF32;
  return type == GgmlType::kF16 ? Dtype::kF16 : Dtype::kBf16;
}

// What config.json calls the model's type: that of most of its bytes.
Dtype main_dtype(const GgufFile& file, const ImportOptions& options) {
  std::map<Dtype, int64_t> elements;
  for (const GgufTensor& t : file.tensors())
    elements[target_dtype(t.type, options)] += t.elements();
  const auto most =
      std::max_element(elements.begin(), elements.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == elements.end() ? Dtype::kBf16 : most->first;
}

// Every tensor of the file must have a place in the model: one that has none changes the result.
void check_all_used(const GgufFile& file, const std::vector<WeightSpec>& specs, bool tied) {
  std::vector<std::string> used;
  for (const WeightSpec& spec : specs) used.push_back(gguf_name(spec.name).value_or(""));
  std::sort(used.begin(), used.end());
  for (const GgufTensor& t : file.tensors()) {
    if (t.name == "rope_freqs.weight" || (tied && t.name == "output.weight")) continue;
    if (!std::binary_search(used.begin(), used.end(), t.name))
      throw UnavailableError(cat(file.file().path().string(), ": tensor ", quote(t.name),
                                 " has no place in this family of models, which is not supported"));
  }
}

OutgoingTensor outgoing(const GgufFile& file, const WeightSpec& spec, const ModelConfig& config,
                        const std::string& architecture, const ImportOptions& options) {
  const std::string place = file.file().path().string();
  const std::string name = gguf_name(spec.name).value_or("");
  const GgufTensor* t = file.find_tensor(name);
  if (!t) throw DataError(cat(place, ": no tensor ", quote(name), "; the model is incomplete"));
  const std::string what = cat(place, ": tensor ", quote(name));
  if (t->shape != spec.shape)
    throw DataError(cat(what, " is ", describe_shape(t->shape), ", not ",
                        describe_shape(spec.shape), " as the metadata says; convert it again"));
  if (!ggml_decodes(t->type))
    throw UnavailableError(
        cat(what, " is of type ", ggml_type_info(t->type).name, ", which is not supported"));
  const int64_t width = t->row_elements();
  FloatRows rows = mapped_rows(what, t->type, file.file(), t->bytes, t->elements() / width, width);
  if (rows_interleave(architecture, spec.name)) {
    if (t->shape.size() == 1) rows = single_elements(std::move(rows));
    rows = reordered_rows(std::move(rows),
                          [d = config.head_dim](int64_t row) { return interleaved_row(row, d); });
  }
  return converted(spec.name, target_dtype(t->type, options), spec.shape, std::move(rows));
}

}  // namespace

ImportReport import_gguf(const fs::path& source, const fs::path& folder,
                         const ImportOptions& options) {
  const GgufFile file(source);
  ImportReport report;
  report.source = cat("GGUF version ", file.version());
  const std::string architecture = file.text("general.architecture", "");
  const Json config = config_from_gguf(file, main_dtype(file, options));
  std::optional<Span> span("read vocabulary");
  const GgufVocab vocab = read_gguf_vocab(file, config.at("vocab_size").as_integer());
  span.reset();
  report.config = write_config(config, vocab.bos, vocab.stops, vocab.pad, folder, source.string());
  const std::vector<WeightSpec> specs = model_weights(report.config);
  check_all_used(file, specs, report.config.tied_embeddings);
  std::vector<OutgoingTensor> tensors;
  for (const WeightSpec& spec : specs)
    tensors.push_back(outgoing(file, spec, report.config, architecture, options));
  span.emplace("write tokenizer");
  write_tokenizer_files(vocab, folder);
  span.reset();
  write_tensors(tensors, folder, options, report);
  return report;
}

}  // namespace nibble
