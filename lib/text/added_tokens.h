// SPDX-License-Identifier: Apache-2.0
// Added tokens: strings that stand for one id wherever they occur in a text, whatever the model
// would make of them ("<|im_start|>"). Found before anything else; the longest at the leftmost
// place wins.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace nibble {

struct AddedToken {
  std::string text;
  int32_t id = -1;
  bool special = false;
  bool lstrip = false, rstrip = false;  // takes the white space on that side
  bool single_word = false;             // not inside a word
  bool normalized = false;              // looked for in the normalised text

  bool operator==(const AddedToken&) const = default;
};

/// A part of a text: a token, or text between tokens (id -1).
struct Section {
  std::string_view text;
  int32_t id = -1;
};

/// Finds tokens of one list.
class AddedTokenFinder {
 public:
  /// `text` of each is what is looked for; empty ones never match.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens = {});

  /// Cuts the text, front to back. With SpecialText::kLiteral special tokens are text.
  void cut(std::string_view text, SpecialText special, std::vector<Section>& sections) const;
  bool empty() const { return tokens_.empty(); }

 private:
  struct Found {
    size_t begin, end;
    const AddedToken* token;
  };
  std::optional<Found> find(std::string_view text, size_t from) const;

  // A trie. Node 0 is the root; children of a node are a chain of siblings.
  struct Node {
    char byte = 0;
    int32_t token = -1;  // index into tokens_ of the string that ends here
    int32_t child = -1, sibling = -1;
  };
  int32_t child_of(int32_t node, char byte) const;
  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};
};

}  // namespace nibble
