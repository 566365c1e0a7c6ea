#include "daemon/export_orders.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

using nlohmann::json;
using Kind = exporter::Order::Kind;

struct Wanted {
  std::string stream;
  std::string identifier;
  exporter::Order order;
};

std::optional<Kind> kind_named(std::string_view name) {
  if (name == "pause") return Kind::kPause;
  if (name == "resume") return Kind::kResume;
  if (name == "move") return Kind::kMove;
  if (name == "retry-now") return Kind::kRetryNow;
  return std::nullopt;
}

/// The member `to` of an order to move.
Result<void> read_place(const json& document, exporter::Order& order) {
  using Place = exporter::Order::Place;
  const auto to = document.find("to");
  const bool integer = to != document.end() && to->is_number_integer() &&
                       (!to->is_number_unsigned() ||
                        to->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)) &&
                       to->get<std::int64_t>() != INT64_MIN;
  if (integer) {
    const auto number = to->get<std::int64_t>();
    const auto or_end = document.find("or_end");
    const bool lenient = or_end != document.end() && or_end->is_boolean() && or_end->get<bool>();
    order.to = SequenceNumber(number < 0 ? -number : number);
    order.place = number < 0 ? Place::kBeforeEnd : lenient ? Place::kNumberOrEnd : Place::kNumber;
    return {};
  }
  if (to != document.end() && *to == "start") {
    order.place = Place::kStart;
    return {};
  }
  if (to != document.end() && *to == "end") {
    order.to = SequenceNumber(0);
    order.place = Place::kBeforeEnd;
    return {};
  }
  return fail(Errc::kInvalidArgument,
              "to must be a sequence number, start, end, or -N for the last N messages");
}

Result<Wanted> parse(std::string_view body) {
  const json document = json::parse(body, nullptr, false);
  const auto text = [&](const char* name) -> std::string {
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (!document.is_object()) return fail(Errc::kInvalidArgument, "the order is no JSON object");
  const auto kind = kind_named(text("order"));
  if (!kind) {
    return fail(Errc::kInvalidArgument, "order must be pause, resume, move or retry-now");
  }
  Wanted wanted{text("stream"), text("export"), {}};
  wanted.order.kind = *kind;
  if (wanted.stream.empty() || wanted.identifier.empty()) {
    return fail(Errc::kInvalidArgument, "stream and export must be named");
  }
  if (*kind == Kind::kMove) WEIR_RETURN_IF_ERROR(read_place(document, wanted.order));
  const auto confirmed = document.find("confirmed");
  wanted.order.confirmed =
      confirmed != document.end() && confirmed->is_boolean() && confirmed->get<bool>();
  return wanted;
}

unsigned status_of(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
      return 400;
    case Errc::kNotFound:
      return 404;
    case Errc::kConflict:
      return 409;
    case Errc::kIo:
      return 500;
    default:
      return 503;
  }
}

std::string body_of(const Result<std::string>& outcome) {
  json document;
  if (outcome) {
    document["done"] = *outcome;
  } else {
    document["error"] = outcome.error().what;
    document["needs_confirmation"] = outcome.error().code == Errc::kConflict;
  }
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

void take_export_order(std::string_view body, const StatusBoard& board, exporter::Engine& engine,
                       const std::function<void()>& look_again,
                       std::function<void(unsigned status, std::string body)> reply) {
  const auto answer = [reply = std::move(reply)](const Result<std::string>& outcome) {
    reply(outcome ? 200 : status_of(outcome.error()), body_of(outcome));
  };
  const auto wanted = parse(body);
  if (!wanted) {
    answer(fail(wanted.error()));
    return;
  }
  const auto rows = board.rows();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const auto& each) { return each.name == wanted->stream; });
  if (row == rows.end()) {
    answer(fail(Errc::kNotFound,
                fmt::format("there is no stream '{}'", log::escaped(wanted->stream))));
    return;
  }
  if (wanted->order.kind == Kind::kRetryNow) look_again();
  engine.give_order(row->id, wanted->identifier, wanted->order, answer);
}

Result<std::string> write_admin_token(const std::string& path) {
  std::array<unsigned char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(os_error("get random bytes", errno));
  }
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  const std::string doing = fmt::format("write the token file '{}'", log::escaped(path));
  // A new file each time: one that somebody put there keeps neither its owner nor its rights.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(os_error(doing, errno));
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return fail(os_error(doing, errno));
  const std::string line = token + "\n";
  const ssize_t written = ::write(descriptor, line.data(), line.size());
  const int error = written < 0 ? errno : ENOSPC;
  ::close(descriptor);
  if (written != static_cast<ssize_t>(line.size())) return fail(os_error(doing, error));
  return token;
}

}  // namespace weir::daemon
