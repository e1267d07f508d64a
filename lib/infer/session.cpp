// SPDX-License-Identifier: Apache-2.0
#include "infer/session.h"

#include <algorithm>

#include "model/adapter.h"

namespace nibble {

std::unique_ptr<Session> load_session(const std::string& model, const std::string& adapter,
                                      Dtype compute) {
  auto s = std::make_unique<Session>();
  s->model = load_model(model);
  s->tokenizer = load_tokenizer(model);
  if (!adapter.empty()) {
    const LoraConfig config = load_adapter_config(adapter);
    attach_lora(s->model, config);
    Arena plan;
    s->model.parameters.lay_out(plan, compute, false);
    s->parameters = Arena(plan.peak());
    s->model.parameters.lay_out(s->parameters, compute, false);
    init_trained(s->model, config, 0);
    load_adapter_weights(adapter, s->model);
    s->model.parameters.refresh();
  }
  return s;
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
