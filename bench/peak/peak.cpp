// How near each kernel comes to what the machine can do, as CSV on standard output. bench/peak.R compiles and runs
// this.
//   peak [least seconds of a measurement]
#include "machine.h"

#include "cases.h"

#include <cstdio>
#include <cstdlib>

namespace {

void report(const char* set, const peak::Machine& machine, const peak::Case& c, double least) {
  const double seconds = peak::best_seconds(c.run, least);
  const double compute = c.flops / (c.in_float ? machine.float_flops : machine.double_flops);
  const double divide = c.divisions / machine.divisions + c.roots / machine.roots;
  const double read = c.bytes / machine.bytes(c.working_set);
  const double limit = std::max({compute, divide, read});
  const char* bound = limit == compute  ? (c.in_float ? "float arithmetic" : "arithmetic")
                      : limit == divide ? "division"
                                        : machine.level(c.working_set);
  std::printf("kernel,%s,%s,\"%s\",%.6g,%.6g,%.6g,%s,%.4f\n", set, ("\"" + c.name + "\"").c_str(), c.size.c_str(),
              1e9 * seconds, 1e-9 * c.flops / seconds, 1e-9 * c.bytes / seconds, bound, limit / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  const double least = argc > 1 ? std::atof(argv[1]) : 0.02;
  const std::vector<double> memory(50000000, 1.0);  // 400 MB: more than any cache
  std::printf("what,set,name,size,ns,gflops,gbytes,bound,fraction\n");
  for (const covmash::simd::KernelTable* table : covmash::simd::available_tables()) {
    const peak::Machine machine = peak::measure_machine(table->name, memory, least);
    const auto line = [&](const char* name, double flops, double bytes) {
      std::printf("machine,%s,\"%s\",,,%.6g,%.6g,,\n", table->name, name, 1e-9 * flops, 1e-9 * bytes);
    };
    line("multiply-adds, double", machine.double_flops, 0.0);
    line("multiply-adds, float", machine.float_flops, 0.0);
    line("divisions, double", machine.divisions, 0.0);
    line("square roots, double", machine.roots, 0.0);
    line("reading from L1", 0.0, machine.l1_bytes);
    line("reading from L2", 0.0, machine.l2_bytes);
    line("reading from memory", 0.0, machine.memory_bytes);
    const peak::Cases cases(*table);
    for (const peak::Case& c : cases.list) report(table->name, machine, c, least);
  }
  return 0;
}
