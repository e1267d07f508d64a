// SPDX-License-Identifier: Apache-2.0
// Adapters through nibble's own reading and writing, for comparison with PEFT:
//   adapter_io copy MODEL/ ADAPTER/ OUT/     reads an adapter and writes it again
//   adapter_io tokens MODEL/ TOKENS OUT/     a new adapter for the model with tokens added
#include <cstdio>
#include <cstring>

#include "model/adapter.h"
#include "model/add_tokens.h"
#include "text/extend_tokenizer.h"

namespace {

using namespace nibble;

Arena lay_out(Model& model) {
  return model.parameters.lay_out(Device{}, Dtype::kF32, false);
}

void copy(const fs::path& base, const fs::path& adapter, const fs::path& out) {
  Model model = load_model(base);
  const LoraConfig config = attach_adapter(model, adapter);
  const Arena arena = lay_out(model);
  load_adapter_weights(adapter, model);
  fs::create_directories(out);
  save_adapter(out, model, config);
}

void add(const fs::path& base, const std::string& tokens, const fs::path& out) {
  Model model = load_model(base);
  const ExtendedTokenizer tokenizer(base, read_token_list(tokens));
  LoraConfig config{.rank = 4, .base_model = base.string()};
  add_tokens(model, config, tokenizer.tokenizer());
  attach_lora(model, config);
  const Arena arena = lay_out(model);
  init_trained(model, config, 1);
  fs::create_directories(out);
  save_adapter(out, model, config);
  tokenizer.write(out);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  try {
    (std::strcmp(argv[1], "copy") == 0 ? copy(argv[2], argv[3], argv[4])
                                       : add(argv[2], argv[3], argv[4]));
  } catch (const nibble::Error& error) {
    std::fprintf(stderr, "adapter_io: %s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
