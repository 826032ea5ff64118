// One row at a time, without Python: LightGBM's fast call, or a library made by tl2cgen.
//
//	gcc -O2 row.c -o row -ldl
//	./row score  lib_lightgbm.so lightgbm.txt rows.f64     LightGBM's probability
//	./row shap   lib_lightgbm.so lightgbm.txt rows.f64     LightGBM's Shapley values
//	./row tl2cgen tl2cgen.so -                rows.f64     the probability of the compiled model
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS = 40 };

typedef void *handle;
typedef int create_fn(const char *file, int *iterations, handle *out);
typedef int init_fn(handle booster, int what, int start, int trees, int type, int columns, const char *settings, handle *out);
typedef int fast_fn(handle config, const void *row, int64_t *n, double *out);
union entry { int missing; double value; int code; };
typedef void tl2cgen_fn(union entry *row, int margin, double *out);

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

static int smaller(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void *must(void *p, const char *what) {
	if (!p) {
		const char *why = dlerror();
		fprintf(stderr, "%s: %s\n", what, why ? why : "cannot");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv) {
	if (argc != 5) {
		fprintf(stderr, "usage: row score|shap|tl2cgen LIBRARY MODEL ROWS\n");
		return 2;
	}
	FILE *f = must(fopen(argv[4], "rb"), argv[4]);
	fseek(f, 0, SEEK_END);
	long rows = ftell(f) / (8L * COLUMNS);
	rewind(f);
	double *x = must(malloc(8L * rows * COLUMNS), "memory");
	if (rows == 0 || fread(x, 8L * COLUMNS, rows, f) != (size_t)rows) {
		fprintf(stderr, "%s: no rows\n", argv[4]);
		return 1;
	}
	int shap = !strcmp(argv[1], "shap"), compiled = !strcmp(argv[1], "tl2cgen");
	void *library = must(dlopen(argv[2], RTLD_NOW), argv[2]);
	handle config = NULL;
	fast_fn *fast = NULL;
	tl2cgen_fn *predict = NULL;
	if (compiled) {
		predict = (tl2cgen_fn *)must(dlsym(library, "predict"), "predict");
	} else {
		create_fn *create = (create_fn *)must(dlsym(library, "LGBM_BoosterCreateFromModelfile"), "create");
		init_fn *init = (init_fn *)must(dlsym(library, "LGBM_BoosterPredictForMatSingleRowFastInit"), "init");
		fast = (fast_fn *)must(dlsym(library, "LGBM_BoosterPredictForMatSingleRowFast"), "fast");
		handle booster;
		int iterations;
		if (create(argv[3], &iterations, &booster) || init(booster, shap ? 3 : 0, 0, -1, 1, COLUMNS, "num_threads=1", &config)) {
			fprintf(stderr, "%s: LightGBM cannot load it\n", argv[3]);
			return 1;
		}
	}
	if (shap && rows > 1000)
		rows = 1000;
	int rounds = shap ? 2 : 6; // the first does not count
	double *took = must(malloc(8L * rows * rounds), "memory"), out[COLUMNS + 1], start = 0;
	long k = 0;
	for (int round = 0; round < rounds; round++) {
		if (round == 1)
			k = 0, start = now();
		for (long i = 0; i < rows; i++) {
			const double *row = x + i * COLUMNS;
			int64_t n;
			double t = now();
			if (compiled) {
				union entry e[COLUMNS];
				for (int j = 0; j < COLUMNS; j++) {
					if (row[j] != row[j])
						e[j].missing = -1;
					else
						e[j].value = row[j];
				}
				predict(e, 0, out);
			} else {
				fast(config, row, &n, out);
			}
			took[k++] = now() - t;
		}
	}
	double total = now() - start;
	qsort(took, k, 8, smaller);
	printf("{\"min_us\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f, \"mean_us\": %.3f}\n",
		took[0], took[k / 2], took[k * 99 / 100], total / k);
	return 0;
}
