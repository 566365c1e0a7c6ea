#include "destination/credentials.h"

#include "destination/options.h"

#include <openssl/crypto.h>
#include <utility>

namespace weir::destination {
namespace {

class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}

  Result<Credentials> current(std::stop_token) override {
    if (credentials_.access_key_id.empty() || credentials_.secret_access_key.empty()) {
      return fail(Errc::kNotFound,
                  "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                  "(and AWS_SESSION_TOKEN for temporary keys) for weir");
    }
    return credentials_;
  }
  Result<Credentials> refresh(const Credentials&, std::stop_token stop) override {
    return current(stop);
  }

 private:
  const Credentials credentials_;
};

}  // namespace

Credentials& Credentials::operator=(const Credentials& other) {
  if (this != &other) {
    wipe();
    access_key_id = other.access_key_id;
    secret_access_key = other.secret_access_key;
    session_token = other.session_token;
    expires_ms = other.expires_ms;
  }
  return *this;
}

Credentials& Credentials::operator=(Credentials&& other) noexcept {
  if (this != &other) {
    wipe();
    access_key_id = std::move(other.access_key_id);
    secret_access_key = std::move(other.secret_access_key);
    session_token = std::move(other.session_token);
    expires_ms = other.expires_ms;
  }
  return *this;
}

Credentials::~Credentials() { wipe(); }

void Credentials::wipe() {
  OPENSSL_cleanse(secret_access_key.data(), secret_access_key.size());
  OPENSSL_cleanse(session_token.data(), session_token.size());
}

std::shared_ptr<CredentialsProvider> static_credentials(const AwsOptions& aws) {
  Credentials credentials;
  credentials.access_key_id = aws.access_key_id;
  credentials.secret_access_key = aws.secret_access_key;
  credentials.session_token = aws.session_token;
  return std::make_shared<StaticCredentials>(std::move(credentials));
}

}  // namespace weir::destination
