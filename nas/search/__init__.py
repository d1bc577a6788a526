"""Search: the Optuna study, the evaluator that it queries, the Pareto front, measured finalists."""
