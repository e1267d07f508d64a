// SPDX-License-Identifier: Apache-2.0
// Trains a SentencePiece BPE vocabulary (Sennrich et al. 2016; Kudo and Richardson 2018) with the
// library's trainer, set as LLaMA's was: no normalisation, digits apart, bytes for characters that
// the vocabulary lacks, <unk> 0, <s> 1, </s> 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nibble {

struct SentencePieceTraining {
  std::vector<std::string> corpus;  // text files, "-" for standard input, .zst read transparently
  int64_t vocab_size = 0;           // exactly so many pieces, the 3 special and 256 bytes included
  uint64_t seed = 0;
  int threads = 1;
};

/// The bytes of tokenizer.model; the same for the same corpus and options. The corpus is held in
/// memory. Throws DataError where the corpus has no text or cannot make a vocabulary of that size.
std::string train_sentencepiece(const SentencePieceTraining& training);

}  // namespace nibble
