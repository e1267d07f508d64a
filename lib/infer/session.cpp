// SPDX-License-Identifier: Apache-2.0
#include "infer/session.h"

#include <algorithm>

#include "model/adapter.h"
#include "text/copy_tokenizer.h"

namespace nibble {

std::unique_ptr<Session> load_session(const std::string& model, const std::string& adapter,
                                      Dtype compute) {
  auto s = std::make_unique<Session>();
  s->model = load_model(model);
  const bool own = !adapter.empty() && has_tokenizer(adapter);
  s->tokenizer = load_tokenizer(own ? adapter : model);
  if (!adapter.empty()) {
    const LoraConfig config = attach_adapter(s->model, adapter);
    s->parameters = s->model.parameters.lay_out(Device{}, compute, false);
    init_trained(s->model, config, 0);
    load_adapter_weights(adapter, s->model);
  }
  if (s->tokenizer->vocab_size() > s->model.config.vocab_size)
    throw DataError(cat(own ? adapter : model, ": the tokenizer has ", s->tokenizer->vocab_size(),
                        " tokens, the model's vocabulary ", s->model.config.vocab_size,
                        "; is it the tokenizer of this model?"));
  return s;
}

void quantize_head(Session& session, std::string_view type) {
  if (type == "keep") return;
  Projection& head = session.model.head;
  if (head.quantized)
    throw UsageError(cat("--head=", type, ": the model's head is quantised already"));
  if (head.weight_parameter >= 0)
    throw UsageError(cat("--head=", type, ": the adapter trains the head; merge it first"));
  const QuantType wanted = type == "int8" ? QuantType::kInt8 : QuantType::kNf4;
  quantize(head.name, head.weight, {.type = wanted}, session.head);
  head.quantized = session.head.matrix();
  head.weight = {};
}

bool cut_at_stop(std::string& text, std::span<const std::string> stops) {
  size_t at = std::string::npos;
  for (const std::string& stop : stops)
    if (!stop.empty()) at = std::min(at, text.find(stop));
  if (at == std::string::npos) return false;
  text.resize(at);
  return true;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : 0;
    const char meant = next == 'n' ? '\n' : next == 't' ? '\t' : next == '\\' ? '\\' : 0;
    if (text[i] == '\\' && meant) {
      out += meant;
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace nibble
