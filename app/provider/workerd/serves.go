package workerd

// Serves reports whether there is a Worker of that name, be it well or not. Without one, the
// gateway can only say that there is none; who knows more may answer in its place.
func (rt *Runtime) Serves(name string) bool {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	u := rt.units[name]
	return u != nil && u.instance != nil
}
