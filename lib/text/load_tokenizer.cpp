// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"
#include "base/profile.h"
#include "io/json.h"
#include "text/json_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace nibble {
namespace {

constexpr size_t kMaxFile = size_t{256} << 20;

std::unique_ptr<Tokenizer> load_file(const fs::path& path, const TokenizerConfig& config) {
  const std::string bytes = read_text_file(path, kMaxFile);
  const std::string place = path.string();
  // Meta's own Llama 3 file: a line is a token in base64, a space and its rank.
  if (bytes.starts_with("IQ== 0\n"))
    throw UnavailableError(cat(place, ": a tiktoken file is not supported; use the tokenizer.json ",
                               "of the model's Hugging Face folder"));
  try {
    const size_t first = bytes.find_first_not_of(" \t\r\n");
    if (path.extension() == ".json" || (first != std::string::npos && bytes[first] == '{'))
      return std::make_unique<JsonTokenizer>(parse_json(bytes, place), config);
    return std::make_unique<SentencePieceTokenizer>(bytes, config);
  } catch (const DataError& e) {
    if (std::string_view(e.what()).starts_with(place)) throw;
    throw DataError(cat(place, ": ", e.what(), "; the file is damaged, fetch it again"));
  } catch (const UnavailableError& e) {
    throw UnavailableError(cat(place, ": ", e.what()));
  }
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path) {
  const Span span("load tokenizer");
  if (!is_input_folder(path)) return load_file(path, {});
  const TokenizerConfig config = read_tokenizer_config(path);
  for (const char* name : {"tokenizer.json", "tokenizer.model"})
    if (input_exists(path / name)) return load_file(path / name, config);
  throw NoInputError(cat(path.string(), ": no tokenizer.json and no tokenizer.model"));
}

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  // Only the last character can be unfinished: look for its first byte.
  size_t start = pending_.size();
  while (start > 0 && pending_.size() - start < 3 &&
         (static_cast<unsigned char>(pending_[start - 1]) & 0xC0u) == 0x80)
    --start;
  size_t keep = 0;
  if (start > 0) {
    const auto lead = static_cast<unsigned char>(pending_[start - 1]);
    const bool begins = lead >= 0xC2 && lead <= 0xF4;
    const size_t want = !begins ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    const size_t have = pending_.size() - (start - 1);
    if (have < want) keep = have;
  }
  std::string whole = pending_.substr(0, pending_.size() - keep);
  pending_.erase(0, pending_.size() - keep);
  return whole;
}

std::string Utf8Stream::flush() {
  std::string rest;
  rest.swap(pending_);
  return rest;
}

}  // namespace nibble
