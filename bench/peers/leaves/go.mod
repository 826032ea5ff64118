module propensity/bench/peers/leaves

go 1.26.0

require github.com/dmitryikh/leaves v0.0.0-20230708180554-25d19a787328
