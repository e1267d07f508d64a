// SPDX-License-Identifier: Apache-2.0
#include "model/init_tokenizer.h"

#include "base/profile.h"
#include "model/tokenizer_files.h"
#include "text/copy_tokenizer.h"
#include "text/sentencepiece_train.h"
#include "text/tokenizer.h"

namespace nibble {
namespace {

std::optional<int64_t> configured_size(const Json& config) {
  const Json* size = config.find("vocab_size");
  if (!size || !size->is_integer() || size->as_integer() < 1) return std::nullopt;
  return size->as_integer();
}

void copy_tokenizer(const fs::path& folder, const fs::path& source) {
  if (is_input_folder(source)) {
    if (!has_tokenizer(source))
      throw NoInputError(cat(source.string(), ": no tokenizer.json or tokenizer.model in it"));
    copy_tokenizer_files(source, folder);
  } else if (source.extension() == ".model") {
    write_tokenizer_config(sentencepiece_vocab(source), folder);
    write_text_file(folder / "tokenizer.model", MappedFile(source).text());
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
  const Json* family = config.find("model_type");
  if (family && family->is_string() && family->as_string().starts_with("qwen") &&
      !input_exists(folder / "tokenizer.json"))
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
  std::optional<Span> span(o.corpus.empty() ? "copy tokenizer" : "train tokenizer");
  if (!o.corpus.empty()) {
    if (!size) throw UsageError("--corpus needs --vocab-size");
    const fs::path model = folder / "tokenizer.model";
    write_text_file(
        model,
        train_sentencepiece(
            {.corpus = o.corpus, .vocab_size = *size, .seed = o.seed, .threads = o.threads}));
    // Written anew: the trainer's file differs from run to run.
    write_tokenizer_files(sentencepiece_vocab(model), folder);
  } else {
    copy_tokenizer(folder, o.source);
  }
  span.reset();
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
