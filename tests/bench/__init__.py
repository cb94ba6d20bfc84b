"""`make bench`: what a cold start, a warm invocation and a package cost, beside what others would write."""
