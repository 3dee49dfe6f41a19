package hdfs

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	lib "github.com/colinmarc/hdfs/v2"
	"github.com/colinmarc/hdfs/v2/hadoopconf"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// A cluster is where and as whom to connect.
type cluster struct {
	authorities []string // the names this cluster goes by in URIs; the first is for messages
	namenodes   []string // host:port, one or (HA) several of one nameservice
	user        string
	replication int   // 0: the server's default
	blockSize   int64 // 0: the server's default
	lib         lib.ClientOptions
}

const defaultPort = "8020"

// resolve finds the NameNodes of one authority. The library's own resolution is not used: it mixes the NameNodes of all nameservices.
func resolve(authority string, o Options, getenv func(string) string) (cluster, error) {
	dir := confDir(o, getenv)
	conf, err := load(dir)
	if err != nil {
		return cluster{}, err
	}
	cl := cluster{authorities: []string{authority}}
	if authority == "" {
		if authority, err = defaultFS(conf, dir); err != nil {
			return cluster{}, err
		}
		cl.authorities = []string{authority, ""}
	}
	if cl.namenodes, err = namenodes(authority, conf, dir); err != nil {
		return cluster{}, err
	}
	if a := conf["hadoop.security.authentication"]; a != "" && !strings.EqualFold(a, "simple") {
		return cluster{}, fmt.Errorf("hadoop.security.authentication is %q in %s: only \"simple\" is supported", a, dir)
	}
	if cl.user, err = actingUser(o, getenv); err != nil {
		return cluster{}, err
	}
	if v := conf["dfs.replication"]; v != "" {
		if cl.replication, err = strconv.Atoi(v); err != nil || cl.replication < 1 {
			return cluster{}, fmt.Errorf("dfs.replication is %q in %s: want a number from 1 up", v, dir)
		}
	}
	if v := conf["dfs.blocksize"]; v != "" {
		if cl.blockSize, err = parseSize(v); err != nil {
			return cluster{}, fmt.Errorf("dfs.blocksize is %q in %s: %w", v, dir, err)
		}
	}
	cl.lib = libOptions(conf)
	cl.lib.User = cl.user
	return cl, nil
}

// libOptions takes from the configuration what the library knows to interpret besides addresses (on which it may panic).
func libOptions(conf hadoopconf.HadoopConf) lib.ClientOptions {
	rest := maps.Clone(conf)
	maps.DeleteFunc(rest, func(key, _ string) bool { return strings.Contains(key, "fs.default") })
	return lib.ClientOptionsFromConf(rest)
}

func confDir(o Options, getenv func(string) string) string {
	switch {
	case o.ConfDir != "":
		return o.ConfDir
	case getenv("HADOOP_CONF_DIR") != "":
		return getenv("HADOOP_CONF_DIR")
	case getenv("HADOOP_HOME") != "":
		return filepath.Join(getenv("HADOOP_HOME"), "etc", "hadoop")
	}
	return ""
}

func load(dir string) (hadoopconf.HadoopConf, error) {
	if dir == "" {
		return nil, nil
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("Hadoop configuration (HADOOP_CONF_DIR): %w", err)
	}
	conf, err := hadoopconf.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("Hadoop configuration in %s: %w", dir, err)
	}
	return conf, nil
}

func defaultFS(conf hadoopconf.HadoopConf, dir string) (string, error) {
	if dir == "" {
		return "", errors.New("the URI names no NameNode and HADOOP_CONF_DIR is not set: write hdfs://host:port/path, or set it")
	}
	v := conf["fs.defaultFS"]
	if v == "" {
		v = conf["fs.default.name"]
	}
	scheme, authority, _ := storage.Split(strings.TrimSuffix(v, "/") + "/")
	if scheme != "hdfs" || authority == "" {
		return "", fmt.Errorf("the URI names no NameNode and fs.defaultFS is %q in %s: want hdfs://host:port or hdfs://nameservice", v, dir)
	}
	return authority, nil
}

// namenodes returns the addresses of exactly the nameservice that authority is, or of the one host that it names.
func namenodes(authority string, conf hadoopconf.HadoopConf, dir string) ([]string, error) {
	ids := list(conf["dfs.ha.namenodes."+authority])
	if len(ids) == 0 && !slices.Contains(list(conf["dfs.nameservices"]), authority) {
		return []string{withPort(authority)}, nil
	}
	keys := []string{"dfs.namenode.rpc-address." + authority} // a nameservice with one NameNode
	if len(ids) > 0 {
		keys = nil
		for _, id := range ids {
			keys = append(keys, "dfs.namenode.rpc-address."+authority+"."+id)
		}
	}
	var addrs []string
	for _, key := range keys {
		if conf[key] == "" {
			return nil, fmt.Errorf("nameservice %q: %s is not set in %s", authority, key, dir)
		}
		addrs = append(addrs, withPort(conf[key]))
	}
	return addrs, nil
}

func list(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
}

func actingUser(o Options, getenv func(string) string) (string, error) {
	if o.User != "" {
		return o.User, nil
	}
	if u := getenv("HADOOP_USER_NAME"); u != "" {
		return u, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who am I for HDFS: %w (set HADOOP_USER_NAME)", err)
	}
	return u.Username, nil
}

// parseSize reads Hadoop's sizes: a number with an optional k, m, g or t.
func parseSize(v string) (int64, error) {
	v = strings.ToLower(strings.TrimSpace(v))
	shift := 0
	if n := len(v); n > 0 {
		if i := strings.IndexByte("kmgt", v[n-1]); i >= 0 {
			shift, v = 10*(i+1), v[:n-1]
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || n > (1<<50)>>shift {
		return 0, errors.New("want a size such as 134217728 or 128m")
	}
	return n << shift, nil
}
