// One description of a struct, three readers of it: decoder, encoder, outline.
//
//   template <class V>
//   void describe(V& v, typename V::template Ref<Route> route) {
//     v.required("to", route.to);
//     v.field("via", route.via);
//   }
//
// `required`: the decoder refuses its absence, the encoder always writes it. `field`: null and
// absence leave the member's default; the encoder leaves out what is empty, false or zero.
// std::optional tells absent from empty. Unknown fields are passed over: a newer server may send
// them. Members are strings, bools, integers, WallTimes, enums (with kSpellings), StringMaps,
// IntOrStrings, described structs, and vectors, optionals and Seldoms of these.
#pragma once

#include <simdjson.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/result.h"
#include "lib/k8s/int_or_string.h"
#include "lib/k8s/kind.h"
#include "lib/k8s/metadata.h"
#include "lib/k8s/seldom.h"
#include "lib/k8s/spelling.h"

namespace multinet::k8s {

namespace detail {

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsSeldom = false;
template <class T>
inline constexpr bool kIsSeldom<Seldom<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

/// Where in a document a value stands; lives on the stack, costs nothing until it is printed.
struct Path {
  const Path* up = nullptr;
  std::string_view name;  // empty for an index or the root
  std::size_t index = 0;
  [[nodiscard]] std::string str() const;
};

/// The first thing that was wrong.
struct Failure {
  std::optional<Error> error;
  void note(const Path& path, const std::string& detail);
};

[[nodiscard]] std::string_view typeName(simdjson::dom::element element);

void read(simdjson::dom::element element, std::string& out, const Path& path, Failure& failure);
void read(simdjson::dom::element element, bool& out, const Path& path, Failure& failure);
void read(simdjson::dom::element element, WallTime& out, const Path& path, Failure& failure);
void read(simdjson::dom::element element, IntOrString& out, const Path& path, Failure& failure);
[[nodiscard]] std::optional<std::int64_t> readInteger(simdjson::dom::element element,
                                                      std::int64_t low, std::int64_t high,
                                                      const Path& path, Failure& failure);

}  // namespace detail

/// Which fields of a struct are read; see projection.h. A list's field speaks of its items, a
/// StringMap's of its keys; one without any is read whole.
struct Fields {
  std::string_view name;
  std::vector<Fields> inside{};
  /// Of a list: only items in which this field has one of these words (`A|B`). Empty: all of them.
  std::pair<std::string_view, std::string_view> only{};

  /// Null where it isn't among those inside.
  [[nodiscard]] const Fields* find(std::string_view field) const;
};

namespace detail {
void read(simdjson::dom::element element, StringMap& out, const Path& path, Failure& failure,
          const Fields* keys);
/// Whether an item of a list is one of those that are asked for.
[[nodiscard]] bool passes(simdjson::dom::element item,
                          const std::pair<std::string_view, std::string_view>& only);
}  // namespace detail

/// Fills a struct from a JSON object.
class Decoder {
 public:
  template <class T>
  using Ref = T&;

  /// Null `fields`: all of them.
  Decoder(simdjson::dom::object object, const detail::Path& path, detail::Failure& failure,
          const Fields* fields = nullptr)
      : object_(object), path_(&path), failure_(&failure), fields_(fields) {}

  template <class T>
  void field(std::string_view name, T& member) {
    (void)take(name, member);
  }
  template <class T>
  void required(std::string_view name, T& member) {
    if (!take(name, member)) failure_->note({path_, name, 0}, "is required");
  }

  template <class T>
  static void value(simdjson::dom::element element, T& out, const detail::Path& path,
                    detail::Failure& failure, const Fields* fields = nullptr);

 private:
  template <class T>
  bool take(std::string_view name, T& member) {
    const Fields* inside = nullptr;
    if (fields_ != nullptr) {
      inside = fields_->find(name);
      if (inside == nullptr) return true;  // nobody asked for it: neither read nor missed
      if (inside->inside.empty()) inside = nullptr;
    }
    const auto found = object_.at_key(name);
    if (found.error() != simdjson::SUCCESS || found.value_unsafe().is_null()) return false;
    value(found.value_unsafe(), member, {path_, name, 0}, *failure_, inside);
    return true;
  }

  simdjson::dom::object object_;
  const detail::Path* path_;
  detail::Failure* failure_;
  const Fields* fields_;
};

template <class T>
void Decoder::value(simdjson::dom::element element, T& out, const detail::Path& path,
                    detail::Failure& failure, const Fields* fields) {
  if constexpr (detail::kIsOptional<T>) {
    value(element, out.emplace(), path, failure, fields);
  } else if constexpr (detail::kIsSeldom<T>) {
    typename T::value_type held;
    value(element, held, path, failure, fields);
    out = std::move(held);
  } else if constexpr (detail::kIsVector<T>) {
    simdjson::dom::array array;
    if (element.get(array) != simdjson::SUCCESS) {
      return failure.note(path, "must be a list, is " + std::string(detail::typeName(element)));
    }
    out.clear();
    for (const auto item : array) {
      if (fields != nullptr && !detail::passes(item, fields->only)) continue;
      const std::size_t index = out.size();
      value(item, out.emplace_back(), {&path, "", index}, failure, fields);
    }
  } else if constexpr (std::is_enum_v<T>) {
    std::string text;
    detail::read(element, text, path, failure);
    if (const auto known = unspell<T>(text)) {
      out = *known;
    } else if (kUnknownWord<T> && !failure.error) {
      out = *kUnknownWord<T>;
    } else {
      std::string words;
      for (const auto& [_, word] : kSpellings<T>)
        words += (words.empty() ? "" : ", ") + std::string(word);
      failure.note(path, "is \"" + text + "\", must be one of " + words);
    }
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    using Limits = std::numeric_limits<T>;
    const auto number = detail::readInteger(element, Limits::min(), Limits::max(), path, failure);
    if (number) out = static_cast<T>(*number);
  } else if constexpr (std::is_same_v<T, StringMap>) {
    detail::read(element, out, path, failure, fields);
  } else if constexpr (requires { detail::read(element, out, path, failure); }) {
    detail::read(element, out, path, failure);
  } else {
    simdjson::dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      return failure.note(path, "must be an object, is " + std::string(detail::typeName(element)));
    }
    Decoder inner(object, path, failure, fields);
    describe(inner, out);
  }
}

/// Makes a JSON object of a struct.
class Encoder {
 public:
  template <class T>
  using Ref = const T&;

  template <class T>
  void field(std::string_view name, const T& member) {
    nlohmann::json made = value(member);
    if (!empty(member, made)) out_[std::string(name)] = std::move(made);
  }
  template <class T>
  void required(std::string_view name, const T& member) {
    out_[std::string(name)] = value(member);
  }
  [[nodiscard]] nlohmann::json take() && { return std::move(out_); }

  template <class T>
  [[nodiscard]] static nlohmann::json value(const T& member) {
    if constexpr (detail::kIsOptional<T>) {
      return member ? value(*member) : nlohmann::json();
    } else if constexpr (detail::kIsSeldom<T>) {
      return value(*member);
    } else if constexpr (detail::kIsVector<T>) {
      nlohmann::json list = nlohmann::json::array();
      for (const auto& item : member) list.push_back(value(item));
      return list;
    } else if constexpr (std::is_enum_v<T>) {
      return std::string(spell(member));
    } else if constexpr (std::is_same_v<T, WallTime>) {
      return formatTime(member);
    } else if constexpr (std::is_same_v<T, IntOrString>) {
      return member.name.empty() ? nlohmann::json(member.number) : nlohmann::json(member.name);
    } else if constexpr (std::is_constructible_v<nlohmann::json, const T&>) {
      return nlohmann::json(member);
    } else {
      Encoder inner;
      describe(inner, member);
      return std::move(inner).take();
    }
  }

 private:
  template <class T>
  [[nodiscard]] static bool empty(const T& member, const nlohmann::json& made) {
    if constexpr (detail::kIsOptional<T>) {
      return !member.has_value();
    } else if constexpr (detail::kIsSeldom<T>) {
      return *member == typename T::value_type{};  // of a struct with required members too
    } else if constexpr (std::is_enum_v<T>) {
      return made == "";
    } else if constexpr (std::is_arithmetic_v<T>) {
      return member == T{};
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, IntOrString>) {
      return member.empty();
    } else {
      return made.empty();
    }
  }

  nlohmann::json out_ = nlohmann::json::object();
};

/// One property of a struct's JSON form.
struct Property {
  std::string path;  ///< `spec.ipam.subnets[].cidr`
  std::string type;  ///< object, map (of strings), array, string, time, integer, boolean
  bool required = false;
  std::vector<std::string_view> values;  ///< of an enum
};

/// Lists the properties of a struct, depth first, in the order of its description.
class Outline {
 public:
  template <class T>
  using Ref = const T&;

  explicit Outline(std::vector<Property>& out, std::string prefix = "")
      : out_(&out), prefix_(std::move(prefix)) {}

  template <class T>
  void field(std::string_view name, const T&) {
    add<T>(prefix_ + std::string(name), false);
  }
  template <class T>
  void required(std::string_view name, const T&) {
    add<T>(prefix_ + std::string(name), true);
  }

 private:
  template <class T>
  void add(const std::string& path, bool required) {
    if constexpr (detail::kIsOptional<T> || detail::kIsSeldom<T>) {
      add<typename T::value_type>(path, required);
    } else if constexpr (detail::kIsVector<T>) {
      out_->push_back({path, "array", required, {}});
      add<typename T::value_type>(path + "[]", false);
    } else if constexpr (std::is_enum_v<T>) {
      Property property{path, "string", required, {}};
      for (const auto& [_, word] : kSpellings<T>) property.values.push_back(word);
      out_->push_back(std::move(property));
    } else if constexpr (std::is_same_v<T, std::string>) {
      out_->push_back({path, "string", required, {}});
    } else if constexpr (std::is_same_v<T, WallTime>) {
      out_->push_back({path, "time", required, {}});
    } else if constexpr (std::is_same_v<T, bool>) {
      out_->push_back({path, "boolean", required, {}});
    } else if constexpr (std::is_integral_v<T>) {
      out_->push_back({path, "integer", required, {}});
    } else if constexpr (std::is_same_v<T, StringMap>) {
      out_->push_back({path, "map", required, {}});
    } else if constexpr (std::is_same_v<T, IntOrString>) {
      out_->push_back({path, "int-or-string", required, {}});
    } else {
      out_->push_back({path, "object", required, {}});
      Outline inner(*out_, path + ".");
      describe(inner, T{});
    }
  }

  std::vector<Property>* out_;
  std::string prefix_;
};

/// A described struct from a JSON value: all of its fields, or some.
template <class T>
[[nodiscard]] Result<T> decode(simdjson::dom::element element, const Fields* fields = nullptr) {
  T out;
  detail::Failure failure;
  const detail::Path root;
  Decoder::value(element, out, root, failure, fields);
  if (failure.error) return fail(std::move(*failure.error));
  return out;
}

/// A whole object of a kind; refuses one that says that it is of another.
template <class T>
[[nodiscard]] Result<T> decodeObject(simdjson::dom::element element,
                                     const Fields* fields = nullptr) {
  constexpr std::string_view kKindName = KindTraits<T>::kKind.kind;
  std::string_view said;
  if (element["kind"].get(said) == simdjson::SUCCESS && said != kKindName) {
    return fail(Code::InvalidArgument, "WrongKind",
                "decode kind: is \"" + std::string(said) + "\", must be \"" +
                    std::string(kKindName) + "\"");
  }
  auto made = decode<T>(element, fields);
  if (!made) return fail(made.error().within("decode " + std::string(kKindName)));
  return made;
}

template <class T>
[[nodiscard]] nlohmann::json encodeObject(const T& object) {
  nlohmann::json out = Encoder::value(object);
  out["apiVersion"] = KindTraits<T>::kKind.apiVersion();
  out["kind"] = std::string(KindTraits<T>::kKind.kind);
  return out;
}

/// An object of a kind from JSON text, with a parser of its own. For files and tests; what reads a
/// stream keeps a parser.
template <class T>
[[nodiscard]] Result<T> decodeText(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  const auto error = parser.parse(text.data(), text.size()).get(element);
  if (error != simdjson::SUCCESS) {
    return fail(Code::InvalidArgument, "InvalidJSON",
                std::string("parse JSON: ") + simdjson::error_message(error));
  }
  return KindTraits<T>::decode(element);
}

template <class T>
[[nodiscard]] std::vector<Property> outline() {
  std::vector<Property> out;
  Outline visitor(out);
  describe(visitor, T{});
  return out;
}

template <class V>
void describe(V& v, typename V::template Ref<OwnerReference> reference) {
  v.required("apiVersion", reference.apiVersion);
  v.required("kind", reference.kind);
  v.required("name", reference.name);
  v.required("uid", reference.uid);
  v.field("controller", reference.controller);
  v.field("blockOwnerDeletion", reference.blockOwnerDeletion);
}

template <class V>
void describe(V& v, typename V::template Ref<ObjectMeta> meta) {
  v.field("name", meta.name);
  v.field("generateName", meta.generateName);
  v.field("namespace", meta.nameSpace);
  v.field("uid", meta.uid);
  v.field("resourceVersion", meta.resourceVersion);
  v.field("generation", meta.generation);
  v.field("creationTimestamp", meta.creationTimestamp);
  v.field("deletionTimestamp", meta.deletionTimestamp);
  v.field("deletionGracePeriodSeconds", meta.deletionGracePeriodSeconds);
  v.field("labels", meta.labels);
  v.field("annotations", meta.annotations);
  v.field("ownerReferences", meta.ownerReferences);
  v.field("finalizers", meta.finalizers);
}

}  // namespace multinet::k8s
