def generate(seed): return ""
