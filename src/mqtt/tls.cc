#include "mqtt/tls.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <cerrno>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <utility>

namespace weir::mqtt {
namespace {

constexpr std::size_t kReadBufferBytes = std::size_t{64} * 1024;

/// Takes the oldest error of the library's queue and empties it.
unsigned long take_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  return code;
}

std::string error_words(unsigned long code) {
  if (code == 0) return "no reason given";
  if (ERR_SYSTEM_ERROR(code)) return os_error("", ERR_GET_REASON(code)).what.substr(2);
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("error {:#x}", code);
}

Error file_error(std::string_view doing, const std::string& file) {
  return {Errc::kInvalidArgument, fmt::format("{} {}: {}", doing, file, error_words(take_error()))};
}

std::string subject_of(X509* certificate) {
  if (certificate == nullptr) return "?";
  BIO* memory = BIO_new(BIO_s_mem());
  if (memory == nullptr) return "?";
  X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(memory, &text);
  std::string subject(text, static_cast<std::size_t>(bytes > 0 ? bytes : 0));
  BIO_free(memory);
  return log::escaped(subject);
}

std::string time_words(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min);
}

/// The names and addresses a certificate is for: "broker.local, 10.0.0.5".
std::string names_of(X509* certificate) {
  constexpr int kNamesMax = 5;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  std::string list;
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names);
  for (int i = 0; i < count && i < kNamesMax; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    const ASN1_STRING* value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const auto bytes = static_cast<std::size_t>(ASN1_STRING_length(value));
    const unsigned char* data = ASN1_STRING_get0_data(value);
    char digits[INET6_ADDRSTRLEN] = "";
    if (name->type == GEN_IPADD) {
      if (bytes == 4) inet_ntop(AF_INET, data, digits, sizeof digits);
      if (bytes == 16) inet_ntop(AF_INET6, data, digits, sizeof digits);
    }
    if (!list.empty()) list += ", ";
    list += name->type == GEN_IPADD
                ? std::string(digits)
                : log::escaped({reinterpret_cast<const char*>(data), bytes}, 100);
  }
  GENERAL_NAMES_free(names);
  return list.empty() ? "no name at all" : list;
}

/// What is wrong with the certificate that the check just refused.
std::string refused_words(X509_STORE_CTX* check, const Options& options) {
  X509* certificate = X509_STORE_CTX_get_current_cert(check);
  const int depth = X509_STORE_CTX_get_error_depth(check);
  const int code = X509_STORE_CTX_get_error(check);
  const std::string whose =
      depth == 0
          ? fmt::format("the broker's certificate '{}'", subject_of(certificate))
          : fmt::format("'{}', an authority of the broker's certificate,", subject_of(certificate));
  switch (certificate == nullptr ? X509_V_ERR_UNSPECIFIED : code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format("{} is for {}, not for '{}'", whose, names_of(certificate), options.host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("{} has expired at {}", whose,
                         time_words(X509_get0_notAfter(certificate)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{} is valid from {}; is the clock of this machine right?", whose,
                         time_words(X509_get0_notBefore(certificate)));
    default:
      return fmt::format(
          "{} is not trusted by {}: {}", whose,
          options.ca_file.empty() ? "the authorities of this system" : options.ca_file,
          X509_verify_cert_error_string(code));
  }
}

/// A key that is encrypted is an error, not a question on the terminal.
int no_passphrase(char* /*buffer*/, int /*bytes*/, int /*writing*/, void* /*user*/) { return 0; }

/// Whether `reason` is about the certificate a client should have.
bool about_our_certificate(int reason) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct TlsContext::State {
  SSL_CTX* context = nullptr;
};

TlsContext::TlsContext() : state_(std::make_unique<State>()) {}
TlsContext::~TlsContext() { SSL_CTX_free(state_->context); }

struct TlsStream::State {
  std::shared_ptr<TlsContext> context;
  const Options* options = nullptr;
  SSL* ssl = nullptr;
  std::string refused;  ///< why the broker's certificate was, if it was

  static int check(int accepted, X509_STORE_CTX* check) {
    auto* ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* state = static_cast<State*>(SSL_get_app_data(ssl));
    if (accepted == 0 && state != nullptr && state->refused.empty()) {
      state->refused = refused_words(check, *state->options);
    }
    return accepted;
  }
};

Result<std::shared_ptr<TlsContext>> TlsContext::make(const Options& options) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext);
  made->state_->context = SSL_CTX_new(TLS_client_method());
  SSL_CTX* context = made->state_->context;
  if (context == nullptr) return fail(file_error("prepare TLS for", options.host));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Brokers send each message as a record of its own: one system call for many of them.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadBufferBytes);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (options.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) {
      return fail(file_error("read the authorities of", "this system"));
    }
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return fail(file_error("read the authorities (ca_file)", options.ca_file));
  }
  if (!options.certificate_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
      return fail(file_error("read the client certificate", options.certificate_file));
    }
    const std::string& key = options.key_file.empty() ? options.certificate_file : options.key_file;
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
      return fail(file_error("read the key of the client certificate", key));
    }
  }
  return made;
}

TlsStream::TlsStream() : state_(std::make_unique<State>()) {}
TlsStream::~TlsStream() { SSL_free(state_->ssl); }

Result<std::unique_ptr<TlsStream>> TlsStream::make(std::shared_ptr<TlsContext> context,
                                                   const Options& options, int socket) {
  ERR_clear_error();
  std::unique_ptr<TlsStream> made(new TlsStream);
  State& state = *made->state_;
  state.context = std::move(context);
  state.options = &options;
  state.ssl = SSL_new(state.context->state_->context);
  if (state.ssl == nullptr || SSL_set_fd(state.ssl, socket) != 1) {
    return fail(file_error("prepare TLS for", options.host));
  }
  SSL_set_app_data(state.ssl, &state);
  SSL_set_verify(state.ssl, SSL_VERIFY_PEER, &State::check);
  in6_addr digits{};
  std::string host = options.host;
  const bool is_address = inet_pton(AF_INET, host.c_str(), &digits) == 1 ||
                          inet_pton(AF_INET6, host.c_str(), &digits) == 1;
  // The library's macro for the server's name is a cast of C.
  const bool named =
      is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(state.ssl), host.c_str()) == 1
                 : SSL_set1_host(state.ssl, host.c_str()) == 1 &&
                       SSL_ctrl(state.ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                host.data()) == 1;
  if (!named) return fail(file_error("check certificates for", host));
  SSL_set_connect_state(state.ssl);
  return made;
}

Result<Progress> TlsStream::judge(int returned, int os_errno, std::string_view doing) {
  const int kind = SSL_get_error(state_->ssl, returned);
  if (kind == SSL_ERROR_WANT_READ) return Progress::kWantsRead;
  if (kind == SSL_ERROR_WANT_WRITE) return Progress::kWantsWrite;
  if (kind == SSL_ERROR_ZERO_RETURN) return Progress::kClosed;
  if (!state_->refused.empty()) {
    ERR_clear_error();
    return fail(Errc::kUnavailable, fmt::format("{}: {}", doing, state_->refused));
  }
  const unsigned long code = take_error();
  if (code == 0) {
    if (os_errno == 0) return Progress::kClosed;
    return fail(os_error(doing, os_errno));
  }
  const int reason = ERR_GET_REASON(code);
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) return Progress::kClosed;
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
    return fail(Errc::kUnavailable, fmt::format("{}: the other side does not speak TLS", doing));
  }
  std::string words = fmt::format("{}: {}", doing, error_words(code));
  if (about_our_certificate(reason)) {
    const std::string& file = state_->options->certificate_file;
    words += file.empty() ? ": the broker wants a client certificate, and none is configured"
                          : fmt::format(": the broker does not take our certificate {}", file);
  }
  return fail(Errc::kUnavailable, std::move(words));
}

Result<Progress> TlsStream::handshake() {
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_do_handshake(state_->ssl);
  const int os_errno = errno;
  if (returned == 1) return Progress::kDone;
  WEIR_TRY(const Progress progress, judge(returned, os_errno, "TLS handshake"));
  if (progress != Progress::kClosed) return progress;
  return fail(Errc::kUnavailable,
              "TLS handshake: the other side closed the connection; does it speak TLS?");
}

Result<Progress> TlsStream::read(MutableBytes into, std::size_t& count) {
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_read_ex(state_->ssl, into.data(), into.size(), &count);
  const int os_errno = errno;
  if (returned == 1) return Progress::kDone;
  count = 0;
  return judge(returned, os_errno, "read over TLS");
}

Result<Progress> TlsStream::write(Bytes bytes, std::size_t& count) {
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_write_ex(state_->ssl, bytes.data(), bytes.size(), &count);
  const int os_errno = errno;
  if (returned == 1) return Progress::kDone;
  count = 0;
  return judge(returned, os_errno, "write over TLS");
}

void TlsStream::say_end() {
  ERR_clear_error();
  SSL_shutdown(state_->ssl);
  ERR_clear_error();
}

}  // namespace weir::mqtt
