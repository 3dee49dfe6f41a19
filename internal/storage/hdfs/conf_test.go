package hdfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func confWith(t *testing.T, props map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("<configuration>")
	for k, v := range props {
		b.WriteString("<property><name>" + k + "</name><value>" + v + "</value></property>")
	}
	b.WriteString("</configuration>")
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Two nameservices in one configuration: what is resolved for one never has a NameNode of the other.
func TestResolve(t *testing.T) {
	t.Parallel()
	two := map[string]string{
		"fs.defaultFS":                       "hdfs://ns2",
		"dfs.nameservices":                   "ns1, ns2,\n single",
		"dfs.ha.namenodes.ns1":               "a1,a2",
		"dfs.namenode.rpc-address.ns1.a1":    "hosta1:9001",
		"dfs.namenode.rpc-address.ns1.a2":    "hosta2",
		"dfs.ha.namenodes.ns2":               "b1, b2",
		"dfs.namenode.rpc-address.ns2.b1":    "hostb1:9002",
		"dfs.namenode.rpc-address.ns2.b2":    "hostb2:9002",
		"dfs.namenode.rpc-address.single":    "hosts:9003",
		"dfs.replication":                    "2",
		"dfs.blocksize":                      "64m",
		"dfs.client.use.datanode.hostname":   "true",
		"hadoop.security.authentication":     "simple",
		"dfs.namenode.rpc-address.ns3.ghost": "ghost:1",
	}
	for authority, want := range map[string][]string{
		"ns1":        {"hosta1:9001", "hosta2:8020"},
		"ns2":        {"hostb1:9002", "hostb2:9002"},
		"single":     {"hosts:9003"},
		"":           {"hostb1:9002", "hostb2:9002"},
		"other:9000": {"other:9000"},
		"other":      {"other:8020"},
		"[::1]:9000": {"[::1]:9000"},
		"[::1]":      {"[::1]:8020"},
	} {
		cl, err := resolve(authority, Options{ConfDir: confWith(t, two), User: "u"}, os.Getenv)
		if err != nil {
			t.Errorf("%q: %v", authority, err)
			continue
		}
		if !slices.Equal(cl.namenodes, want) {
			t.Errorf("%q: NameNodes %q, want %q", authority, cl.namenodes, want)
		}
		if cl.replication != 2 || cl.blockSize != 64<<20 || !cl.lib.UseDatanodeHostname || cl.lib.User != "u" {
			t.Errorf("%q: %+v", authority, cl)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for _, c := range []struct {
		authority string
		props     map[string]string
		parts     []string
	}{
		{"", nil, []string{"fs.defaultFS", "hdfs://host:port"}},
		{"", map[string]string{"fs.defaultFS": "file:///"}, []string{"fs.defaultFS", "file:///"}},
		{"", map[string]string{"fs.defaultFS": ":%zz"}, []string{"fs.defaultFS", ":%zz"}},
		{"ns", map[string]string{"dfs.ha.namenodes.ns": "n1,n2", "dfs.namenode.rpc-address.ns.n1": "h:1"}, []string{"ns", "dfs.namenode.rpc-address.ns.n2"}},
		{"ns", map[string]string{"dfs.nameservices": "ns"}, []string{"ns", "dfs.namenode.rpc-address.ns"}},
		{"h", map[string]string{"hadoop.security.authentication": "kerberos"}, []string{"kerberos", "simple"}},
		{"h", map[string]string{"dfs.replication": "0"}, []string{"dfs.replication", `"0"`}},
		{"h", map[string]string{"dfs.blocksize": "64mb"}, []string{"dfs.blocksize", "64mb"}},
	} {
		dir := confWith(t, c.props)
		_, err := resolve(c.authority, Options{ConfDir: dir}, none)
		for _, part := range append(c.parts, dir) {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q with %v: error %v does not say %q", c.authority, c.props, err, part)
			}
		}
	}
	if _, err := resolve("", Options{}, none); err == nil || !strings.Contains(err.Error(), "HADOOP_CONF_DIR") {
		t.Errorf("no configuration: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "gone")
	if _, err := resolve("h", Options{ConfDir: missing}, none); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing directory: %v", err)
	}
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "hdfs-site.xml"), []byte("<configuration><prop"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := resolve("h", Options{ConfDir: bad}, none); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("broken XML: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := confWith(t, map[string]string{"fs.defaultFS": "hdfs://fromenv:1/"})
	env := map[string]string{"HADOOP_CONF_DIR": dir, "HADOOP_USER_NAME": "alice"}
	cl, err := resolve("", Options{}, func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	if cl.user != "alice" || !slices.Equal(cl.namenodes, []string{"fromenv:1"}) {
		t.Errorf("%+v", cl)
	}
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, filepath.Join(home, "etc", "hadoop")); err != nil {
		t.Fatal(err)
	}
	env = map[string]string{"HADOOP_HOME": home}
	if cl, err = resolve("", Options{}, func(k string) string { return env[k] }); err != nil || cl.namenodes[0] != "fromenv:1" || cl.user == "" {
		t.Errorf("HADOOP_HOME: %+v, %v", cl, err)
	}
}
