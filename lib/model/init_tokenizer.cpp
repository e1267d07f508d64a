// SPDX-License-Identifier: Apache-2.0
#include "model/init_tokenizer.h"

#include "text/copy_tokenizer.h"
#include "model/gguf_vocab.h"
#include "model/tokenizer_files.h"
#include "text/sentencepiece_train.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

std::optional<int64_t> configured_size(const Json& config) {
  const Json* size = config.find("vocab_size");
  if (!size || !size->is_integer() || size->as_integer() < 1) return std::nullopt;
  return size->as_integer();
}

// tokenizer.model and its settings, as LLaMA's: a space before the text, <s> in front.
void write_sentencepiece_files(const fs::path& folder, std::string_view bytes,
                               const std::string& place) {
  const SentencePieceModel model = read_sentencepiece(bytes, place);
  const auto id = [](int32_t i) { return i < 0 ? std::optional<int32_t>() : i; };
  write_tokenizer_files({.model = "llama",
                         .tokens = model.pieces,
                         .bos = id(model.bos),
                         .eos = id(model.eos),
                         .unk = id(model.unk),
                         .pad = id(model.pad),
                         .add_bos = true,
                         .add_space_prefix = model.add_dummy_prefix},
                        folder);
}

void copy_tokenizer(const fs::path& folder, const fs::path& source) {
  std::error_code error;
  if (fs::is_directory(source, error)) {
    if (!has_tokenizer(source))
      throw NoInputError(cat(source.string(), ": no tokenizer.json or tokenizer.model in it"));
    copy_tokenizer_files(source, folder);
  } else if (source.extension() == ".model") {
    const MappedFile file(source);
    write_sentencepiece_files(folder, file.text(), source.string());
    write_text_file(folder / "tokenizer.model", file.text());  // as it is, normaliser and all
  } else if (source.extension() == ".json") {
    write_text_file(folder / "tokenizer.json", MappedFile(source).text());
    const Json settings = Json::object({{"tokenizer_class", "PreTrainedTokenizerFast"}});
    write_text_file(folder / "tokenizer_config.json", settings.dump(2) + "\n");
  } else {
    throw UsageError(
        cat("--tokenizer=", source.string(), ": neither a folder nor a .model or .json file"));
  }
}

// transformers takes a byte-level tokenizer for Qwen models whatever their folder says.
void check_family(const fs::path& folder, const Json& config) {
  std::error_code error;
  const Json* family = config.find("model_type");
  if (family && family->is_string() && family->as_string().starts_with("qwen") &&
      !fs::exists(folder / "tokenizer.json", error))
    throw UsageError(cat("a SentencePiece vocabulary does not go with ", family->as_string(),
                         ": transformers would not read it; take --family=llama or mistral"));
}

}  // namespace

void init_tokenizer(const fs::path& folder, Json& config, const InitTokenizer& o) {
  std::optional<int64_t> size = o.vocab_size ? o.vocab_size : configured_size(config);
  if (!o.corpus.empty() && !o.source.empty())
    throw UsageError("--corpus trains a tokenizer and --tokenizer copies one; give one of them");
  if (o.corpus.empty() && o.source.empty()) {
    if (!size)
      throw UsageError(
          "the size of the vocabulary is not known; give --corpus, --tokenizer or "
          "--vocab-size");
    config.set("vocab_size", *size);
    return;
  }
  if (!o.corpus.empty()) {
    if (!size) throw UsageError("--corpus needs --vocab-size");
    write_sentencepiece_files(
        folder,
        train_sentencepiece(
            {.corpus = o.corpus, .vocab_size = *size, .seed = o.seed, .threads = o.threads}),
        o.corpus[0]);
  } else {
    copy_tokenizer(folder, o.source);
  }
  check_family(folder, config);
  const auto tokenizer = load_tokenizer(folder);
  if (!size) size = tokenizer->vocab_size();
  if (*size < tokenizer->vocab_size())
    throw UsageError(cat("a vocabulary of ", *size, " is smaller than the tokenizer's ",
                         tokenizer->vocab_size(), "; give --vocab-size=", tokenizer->vocab_size()));
  config.set("vocab_size", *size);
  const auto set = [&](const char* name, std::optional<int32_t> id) {
    config.erase(name);
    if (id) config.set(name, int64_t{*id});
  };
  set("bos_token_id", tokenizer->bos);
  set("eos_token_id", tokenizer->eos);
  set("pad_token_id", tokenizer->pad);
}

}  // namespace nibble
