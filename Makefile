# Everything made goes to _build/, which git ignores.

# What make fuzz and make sanitize do, and how much of it.
CALLS ?= 2000
SEED ?= 1
TESTS ?=

.PHONY: help demo test slurm check fuzz sanitize peers install bench bench-quick docs site spell format lint clean

# scripts/library falls back on this library where R's own cannot be written to.
export R_LIBS := $(CURDIR)/_build/library:$(R_LIBS)

help:
	@echo 'make demo      install what is missing, build covmash, run it on two data sets, write a report'
	@echo 'make test      install what is missing, build covmash, run all tests'
	@echo 'make slurm     a fit and its posteriors by jobs of a real Slurm on this machine (root), against the same in one process'
	@echo 'make check     install what is missing, build covmash, R CMD check --as-cran'
	@echo 'make fuzz      hostile calls of every function: make fuzz CALLS=200000 SEED=2 JOBS=2 (tests/fuzz/README.md)'
	@echo 'make sanitize  R tests and 2,000 hostile calls under the address and undefined-behaviour sanitizers'
	@echo 'make peers     mashr against covmash: its exports, its own tests and vignettes, random problems (mashr must be installed)'
	@echo 'make install   install what is missing, build and install covmash'
	@echo 'make bench     compare with mashr, which must be installed (an hour; bench/README.md)'
	@echo 'make bench-quick  the same on small data, in two minutes'
	@echo 'make docs      bring the help pages and the exports of the C++ code up to date'
	@echo 'make site      the web site: builds it into _build/site and checks its reference and its links'
	@echo 'make spell     words that are neither English nor in inst/WORDLIST'
	@echo 'make format    lay out the C++ code'
	@echo 'make lint      look over the R code'
	@echo 'make clean     remove what was made'

demo:
	@scripts/deps demo
	@scripts/install --vignettes
	@scripts/demo

test:
	@scripts/deps test
	@scripts/install
	@scripts/test

slurm:
	@scripts/deps slurm
	@scripts/install
	@scripts/slurm-loopback --fit

check:
	@scripts/deps check
	@scripts/install
	@scripts/check

fuzz:
	@scripts/deps test
	@scripts/install
	@scripts/fuzz --calls=$(CALLS) --seed=$(SEED) $(if $(DIR),--dir=$(DIR)) $(if $(JOBS),--jobs=$(JOBS))

sanitize:
	@scripts/deps test
	@scripts/sanitize --calls=$(CALLS) --seed=$(SEED) $(if $(TESTS),--tests=$(TESTS))

peers:
	@scripts/install
	@Rscript tests/peers/api.R > tests/peers/api.md
	@Rscript tests/peers/mashr-tests.R
	@Rscript tests/peers/vignettes.R
	@Rscript tests/peers/random.R
	@Rscript tests/peers/clients.R

install:
	@scripts/deps demo
	@scripts/install --vignettes

bench:
	@scripts/install
	@scripts/bench

bench-quick:
	@scripts/install
	@scripts/bench --quick

docs:
	Rscript -e 'Rcpp::compileAttributes()'
	@scripts/install
	Rscript -e 'roxygen2::roxygenise(load_code = "installed")'

site:
	@scripts/deps site
	@scripts/install
	@scripts/site

spell:
	@scripts/deps spell
	@Rscript scripts/spell.R

format:
	clang-format -i $(filter-out src/RcppExports.cpp,$(wildcard bench/peak/*.h bench/peak/*.cpp inst/include/covmash/*.h inst/include/covmash/*/*.h inst/include/covmash/simd/*.inc src/*.h src/*.cpp tests/cpp/*.h tests/cpp/*.cpp))

lint:
	Rscript -e 'print(lintr::lint_package())'

clean:
	rm -rf _build src/*.o src/*.so
