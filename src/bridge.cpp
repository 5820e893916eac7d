// How errors of the core reach R.
#include "bridge.h"

namespace bridge {
namespace {

// Raises the R condition of an error of the core, with its kind and what it is about (R/conditions.R).
[[noreturn]] void raise(const char* kind, const char* message, const covmash::Subject& about) {
  const Rcpp::Function stop_core("stop_core", Rcpp::Environment::namespace_env("covmash"));
  if (about.what)
    stop_core(kind, message, about.what, static_cast<double>(about.index) + 1.0);
  else
    stop_core(kind, message);
  throw Rcpp::exception(message);  // never reached
}

}  // namespace

void pass_to_r() {
  try {
    throw;
  } catch (const covmash::interrupted&) {
    throw Rcpp::internal::InterruptedException();
  } catch (const covmash::input_error& e) {
    raise("input", e.what(), e.subject);
  } catch (const covmash::numeric_error& e) {
    raise("numeric", e.what(), e.subject);
  } catch (const std::bad_alloc&) {
    raise("memory", "", {});
  } catch (const std::length_error&) {  // more than could ever be had
    raise("memory", "", {});
  }
}

}  // namespace bridge
