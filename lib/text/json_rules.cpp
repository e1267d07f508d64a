// SPDX-License-Identifier: Apache-2.0
// The "decoder" and "post_processor" of tokenizer.json.
#include "text/json_members.h"
#include "text/json_tokenizer.h"
#include "text/space_mark.h"

namespace nibble {

using json_tokenizer::flag;
using json_tokenizer::member;

void JsonTokenizer::read_decoder(const Json& spec) {
  if (spec.is_null()) return;
  const auto refuse = [](const std::string& type) {
    throw UnavailableError(cat("decoder \"", type, "\" is not supported"));
  };
  const auto read = [&](const Json& step) {
    const std::string& type = step.at("type").as_string();
    if (type == "ByteLevel") {
      if (spelling_ != Spelling::kByteLevel) refuse(type);
    } else if (type == "Metaspace") {
      const Json& scheme = member(step, "prepend_scheme");
      strips_first_space_ = scheme.is_null() ? member(step, "add_prefix_space").is_null() ||
                                                   flag(step, "add_prefix_space")
                                             : scheme.as_string() != "never";
    } else if (type == "Replace") {
      const Json& text = member(step.at("pattern"), "String");
      if (text.is_null() || text.as_string() != kSpaceMark || step.at("content").as_string() != " ")
        refuse(type);
    } else if (type == "Strip") {
      if (step.at("content").as_string() != " " || step.at("stop").as_integer() != 0 ||
          step.at("start").as_integer() > 1)
        refuse(type);
      strips_first_space_ = step.at("start").as_integer() == 1;
    } else if (type != "ByteFallback" && type != "Fuse") {
      refuse(type);
    }
  };
  if (spec.at("type").as_string() == "Sequence")
    for (const Json& step : spec.at("decoders").as_array()) read(step);
  else
    read(spec);
}

void JsonTokenizer::read_post_processor(const Json& spec) {
  if (spec.is_null()) return;
  const std::string& type = spec.at("type").as_string();
  const auto use = [&](bool at_start, int64_t id) {
    if (id < 0 || !has_token(static_cast<int32_t>(std::min(id, kMaxTokenId))))
      throw DataError(cat("post_processor adds the id ", id, ", which is no token"));
    (at_start ? add_bos : add_eos) = true;
    (at_start ? bos : eos) = static_cast<int32_t>(id);
  };
  if (type == "Sequence") {
    for (const Json& step : spec.at("processors").as_array()) read_post_processor(step);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    for (const char* name : {"cls", "sep"}) {
      const Json::Array& pair = spec.at(name).as_array();  // text and id
      if (pair.size() != 2) throw DataError(cat("\"", name, "\" is no pair"));
      use(name[0] == 'c', pair[1].as_integer());
    }
  } else if (type == "TemplateProcessing") {
    bool seen_text = false;
    int before = 0, after = 0;
    for (const Json& piece : spec.at("single").as_array()) {
      if (piece.find("Sequence") != nullptr) {
        seen_text = true;
        continue;
      }
      const std::string& name = piece.at("SpecialToken").at("id").as_string();
      const Json::Array& ids = spec.at("special_tokens").at(name).at("ids").as_array();
      if (ids.size() != 1 || ++(seen_text ? after : before) > 1)
        throw UnavailableError("a post_processor with several tokens on one side is not supported");
      use(!seen_text, ids[0].as_integer());
    }
  } else if (type != "ByteLevel") {
    throw UnavailableError(cat("post_processor \"", type, "\" is not supported"));
  }
}

}  // namespace nibble
