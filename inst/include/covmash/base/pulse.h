#pragma once
// How leaf loops that know nothing of executors let an interrupt through: they call it about every 10 ms where they can
// take longer. It may throw.

namespace covmash {

struct Pulse {
  void (*beat)(void*) = nullptr;
  void* listener = nullptr;

  void operator()() const {
    if (beat) beat(listener);
  }
};

}  // namespace covmash
