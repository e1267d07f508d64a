// SPDX-License-Identifier: Apache-2.0
// Reads captions, a line each, and writes their tokens: as COCO's evaluation leaves them.
#include <iostream>
#include <string>
#include <vector>

#include "score/ptb_tokenizer.h"

int main() {
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
  nibble::PtbTokenizer tokenizer;
  for (const std::string& line :
       tokenizer.captions(std::vector<std::string_view>(lines.begin(), lines.end())))
    std::cout << line << '\n';
}
