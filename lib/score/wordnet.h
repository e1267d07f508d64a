// SPDX-License-Identifier: Apache-2.0
// WordNet 3.0's database (wndb(5WN), Debian's wordnet-base), read where it lies: synonyms of a word
// in any inflection, as NLTK's WordNetCorpusReader finds them.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "score/string_map.h"

namespace nibble {

class WordNet {
 public:
  /// A folder with index., data. and .exc of noun, verb, adj and adv. Throws NoInputError that says
  /// which is missing and how to install them.
  explicit WordNet(const std::string& folder);

  /// The single words of all sets of synonyms that the word is in, in no order, perhaps repeated.
  /// Throws DataError where the database is damaged.
  std::vector<std::string> synonyms(std::string_view word) const;

 private:
  struct Part {
    MappedFile index, data;
    StringMap<std::vector<std::string>> exceptions;  // base forms by irregular form
  };
  static Part open(const std::string& folder, std::string_view name);
  void add_sets(const Part& part, std::string_view lemma, std::vector<std::string>& words) const;

  std::vector<Part> parts_;  // in the order of kParts
};

}  // namespace nibble
