// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece_train.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <exception>
#include <unordered_map>

#include "base/error.h"
#include "io/lines.h"
#include "text/unicode.h"

namespace nibble {
namespace {

// The library leaves out sentences longer than this; ours are cut before it, at a space.
constexpr size_t kMaxSentence = 4000;

// The lines of some files. The library knows no exceptions: one of ours is kept for afterwards.
class Sentences : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::vector<std::string>& files) : files_(files) { Next(); }

  bool done() const override { return done_; }
  const std::string& value() const override { return sentence_; }
  sentencepiece::util::Status status() const override { return {}; }
  void Next() override {
    try {
      done_ = !advance();
    } catch (...) {
      done_ = true;
      error_ = std::current_exception();
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  bool advance() {
    while (rest_.empty())
      if (!next_line()) return false;
    size_t length = rest_.size();
    if (length > kMaxSentence) {
      length = rest_.rfind(' ', kMaxSentence);
      if (length == std::string_view::npos || length == 0) length = kMaxSentence;
      while (length > 1 && (static_cast<unsigned char>(rest_[length]) & 0xc0) == 0x80) --length;
    }
    sentence_ = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }

  bool next_line() {
    for (;;) {
      if (!reader_) {
        if (file_ == files_.size()) return false;
        reader_ = std::make_unique<LineReader>(files_[file_++]);
      }
      if (reader_->next(rest_)) break;
      reader_.reset();
    }
    if (!is_utf8(rest_))
      throw DataError(cat(reader_->place(), ": not UTF-8; convert the text (iconv -t UTF-8)"));
    return true;
  }

  const std::vector<std::string>& files_;
  size_t file_ = 0;
  std::unique_ptr<LineReader> reader_;
  std::string_view rest_;
  std::string sentence_;
  bool done_ = false;
  std::exception_ptr error_;
};

// What the library says, without its source line and failed condition.
std::string fault_of(const sentencepiece::util::Status& status) {
  std::string text = status.error_message();
  if (const size_t at = text.rfind("] "); at != std::string::npos) text.erase(0, at + 2);
  for (char& c : text)
    if (c == '\n') c = ' ';
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

std::string train_sentencepiece(const SentencePieceTraining& training) {
  Sentences sentences(training.corpus);
  sentences.rethrow();
  const std::string place = training.corpus.empty() ? "corpus" : training.corpus[0];
  if (sentences.done()) throw DataError(cat(place, ": no text to train a vocabulary on"));
  sentencepiece::SetRandomGeneratorSeed(static_cast<unsigned>(training.seed));
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", cat(training.vocab_size)},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"remove_extra_whitespaces", "false"},
      {"normalization_rule_name", "identity"},
      {"character_coverage", "0.99995"},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", "-1"},
      {"num_threads", cat(training.threads)},
      {"minloglevel", "2"},
  };
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &sentences, &model);
  sentences.rethrow();
  if (!status.ok())
    throw DataError(cat(place, ": cannot train a vocabulary of ", training.vocab_size, " pieces (",
                        fault_of(status), "); choose another --vocab-size or more text"));
  return model;
}

}  // namespace nibble
