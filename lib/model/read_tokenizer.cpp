// SPDX-License-Identifier: Apache-2.0
// A model folder's tokenizer as GGUF's arrays: what read_tokenizer_files does.
#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/quote.h"
#include "model/pretokenizers.h"
#include "model/tokenizer_files.h"
#include "text/sentencepiece_file.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace nibble {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581

class Reader {
 public:
  Reader(const fs::path& folder, const ModelConfig& config)
      : folder_(folder),
        tokenizer_(load_tokenizer(folder)),  // refuses what it does not understand
        size_(config.vocab_size) {
    if (tokenizer_->vocab_size() > size_)
      throw DataError(cat(folder.string(), ": the tokenizer has ", tokenizer_->vocab_size(),
                          " tokens, the model's vocabulary ", size_,
                          "; is it the tokenizer of this model?"));
    vocab_.tokens.resize(static_cast<size_t>(size_));
    for (size_t i = 0; i < vocab_.tokens.size(); ++i)
      vocab_.tokens[i] = {cat("[PAD", i, "]"), 0.0f, PieceType::kUnused};
    vocab_.bos = tokenizer_->bos;
    vocab_.eos = tokenizer_->eos;
    vocab_.unk = tokenizer_->unk;
    vocab_.pad = tokenizer_->pad;
    vocab_.add_bos = tokenizer_->add_bos;
    vocab_.add_eos = tokenizer_->add_eos;
    vocab_.chat_template = tokenizer_->chat_template;
    if (!vocab_.eos && !config.eos.empty()) vocab_.eos = config.eos[0];
    for (const int32_t stop : config.eos)
      if (stop < size_) vocab_.stops.push_back(stop);
  }

  GgufVocab read() {
    const TokenizerConfig settings = read_tokenizer_config(folder_);
    if (input_exists(folder_ / "tokenizer.json")) {
      const Json document = read_json_file(folder_ / "tokenizer.json");
      const Json* fallback = document.at("model").find("byte_fallback");
      const bool sentencepiece = fallback && fallback->is_bool() && fallback->as_bool();
      // The original has the scores; tokenizer.json only the order of merges.
      if (sentencepiece && input_exists(folder_ / "tokenizer.model"))
        read_sentencepiece_file(settings);
      else if (sentencepiece)
        read_character_bpe(document);
      else
        read_byte_level_bpe(document);
      read_added(document);
    } else {
      read_sentencepiece_file(settings);
    }
    for (const AddedToken& token : settings.added) set_added(token);
    return std::move(vocab_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw UnavailableError(
        cat(folder_.string(), ": ", what, ", which GGUF cannot express; export a folder instead"));
  }
  Piece& token(int64_t id) {
    CHECK(id >= 0 && id < size_);  // load_tokenizer has checked every id
    return vocab_.tokens[static_cast<size_t>(id)];
  }
  void set_added(const AddedToken& added) {
    const bool unknown = vocab_.model == "llama" && added.id == vocab_.unk;
    token(added.id) = {added.text, 0.0f,
                       unknown         ? PieceType::kUnknown
                       : added.special ? PieceType::kControl
                                       : PieceType::kUserDefined};
  }
  void read_added(const Json& document) {
    const Json* list = document.find("added_tokens");
    if (!list || list->is_null()) return;
    for (const Json& entry : list->as_array())
      set_added(parse_added_token(entry, entry.at("id").as_integer()));
  }
  // "left right", whichever way the file writes a merge.
  static std::pair<std::string, std::string> merge_of(const Json& merge) {
    if (merge.is_array())
      return {merge.as_array().at(0).as_string(), merge.as_array().at(1).as_string()};
    const std::string& text = merge.as_string();
    const size_t space = text.find(' ', 1);
    return {text.substr(0, space), text.substr(space + 1)};
  }

  void read_byte_level_bpe(const Json& document) {
    vocab_.model = "gpt2";
    const auto name = pretokenizer_name(document);
    if (!name) refuse("its pre_tokenizer is none of those that llama.cpp has a name for");
    vocab_.pre = *name;
    for (const auto& [text, id] : document.at("model").at("vocab").as_object())
      token(id.as_integer()) = {text, 0.0f, PieceType::kNormal};
    for (const Json& merge : document.at("model").at("merges").as_array()) {
      const auto [left, right] = merge_of(merge);
      vocab_.merges.push_back(cat(left, ' ', right));
    }
  }

  // llama.cpp merges the pair whose token scores highest; the token of an earlier merge therefore
  // scores higher.
  void read_character_bpe(const Json& document) {
    vocab_.model = "llama";
    std::unordered_map<std::string, float> scores;
    for (const Json& merge : document.at("model").at("merges").as_array()) {
      const auto [left, right] = merge_of(merge);
      scores.emplace(left + right, -static_cast<float>(scores.size()));
    }
    const auto lowest = -static_cast<float>(scores.size());
    for (const auto& [text, id] : document.at("model").at("vocab").as_object()) {
      const auto score = scores.find(text);
      const bool byte = text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
      token(id.as_integer()) = {text, score == scores.end() ? lowest : score->second,
                                byte ? PieceType::kByte : PieceType::kNormal};
    }
    const std::vector<int32_t> ids = tokenizer_->encode("a");
    vocab_.add_space_prefix = !ids.empty() && tokenizer_->token_text(ids[0]).starts_with(kSpace);
    if (vocab_.unk) token(*vocab_.unk).type = PieceType::kUnknown;
  }

  void read_sentencepiece_file(const TokenizerConfig& settings) {
    vocab_.model = "llama";
    const fs::path path = folder_ / "tokenizer.model";
    const SentencePieceFile file = parse_sentencepiece(MappedFile(path).text());
    if (file.model != SentencePieceFile::Model::kBpe)
      refuse("tokenizer.model is not of SentencePiece's BPE kind");
    if (file.normalizes || file.remove_extra_whitespaces || !file.escape_whitespaces)
      refuse("tokenizer.model normalises text");
    for (size_t i = 0; i < file.pieces.size(); ++i) token(static_cast<int64_t>(i)) = file.pieces[i];
    vocab_.add_space_prefix = settings.add_prefix_space.value_or(file.add_dummy_prefix);
  }

  fs::path folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
  int64_t size_;
  GgufVocab vocab_;
};

}  // namespace

GgufVocab read_tokenizer_files(const fs::path& folder, const ModelConfig& config) {
  return Reader(folder, config).read();
}

}  // namespace nibble
